import { describe, expect, test } from 'vitest';
import { MESH, policy } from '../policy/builders.fixture.ts';
import { EffectiveIndex } from '../policy/index.ts';
import { type PodSketch, podRecord } from './builders.fixture.ts';
import { readable, type TalliedPod, Tallies, tally } from './tally.ts';

const index = new EffectiveIndex(MESH);
index.setPolicy(policy({ mode: 'Strict' }));
index.setPolicy(policy({ name: 'v2', app: 'v2', ports: { '8080': 'Disabled' } }));

function pod(name: string, sketch: PodSketch, acknowledged: boolean, refusal?: string): TalliedPod {
  const { mesh, shape } = podRecord(name, sketch);
  if (mesh === undefined || shape === undefined) throw new Error('no pod');
  index.setPod(`shop/${name}`, shape);
  const answers = index.answersOf(`shop/${name}`, 0);
  if (answers === undefined) throw new Error('no answers');
  return { key: `shop/${name}`, mesh, answers, acknowledged, refusal };
}

const entry = {
  target: 'Strict',
  servers: 'Strict',
  clients: 'MutualTLS',
  phase: 'Settled',
  since: '2030-01-01T00:00:00Z',
} as const;
const spec = {
  workloads: [
    {
      kind: 'Deployment',
      name: 'web',
      ...entry,
      policy: 'shop/default',
      ports: [{ port: 8080, ...entry, phase: 'Servers' as const, policy: 'shop/v2' }],
    },
  ],
};

describe('the sidecars of a policy', () => {
  test('are those of pods of which it decides some port: how many run, have acknowledged, and act by it', () => {
    const pods = [
      pod('a', {}, true),
      pod('b', { labels: { app: 'v2' } }, true),
      pod('c', {}, false),
      pod('d', { running: false }, false),
      pod('e', {}, false, 'no\nsuch   filter'),
    ];
    expect(Object.fromEntries(tally(pods, spec))).toEqual({
      'shop/default': {
        sidecars: 5,
        total: 4,
        acknowledged: 2,
        enforced: 2,
        lagging: ['shop/c', 'shop/e'],
        refused: [{ pod: 'shop/e', error: 'no such filter' }],
      },
      'shop/v2': { sidecars: 1, total: 1, acknowledged: 1, enforced: 0, lagging: [], refused: [] },
    });
  });

  test('are summed over namespaces, and those are told of which something is different', () => {
    const tallies = new Tallies();
    const one = tally([pod('a', {}, true)], spec);
    expect([...tallies.set('shop', one)]).toEqual(['shop/default']);
    expect([...tallies.set('shop', one)]).toEqual([]);
    tallies.set('bank', one);
    expect(tallies.of('shop/default')).toMatchObject({ total: 2, enforced: 2 });
    expect([...tallies.set('bank', new Map())]).toEqual(['shop/default']);
    tallies.set('shop', new Map());
    expect(tallies.of('shop/default')).toBeUndefined();
  });

  test('speak in words that fit into a status', () => {
    expect(readable(`\u0000evil\u202e\n${'x'.repeat(9999)}`).length).toBeLessThanOrEqual(500);
    expect(readable('a\u0000b\nc')).toBe('a b c');
  });
});
