import { describe, expect, test } from 'vitest';
import { MESH, policy } from '../policy/builders.fixture.ts';
import { EffectiveIndex } from '../policy/index.ts';
import { type PodSketch, podRecord } from './builders.fixture.ts';
import { readable, type TalliedPod, Tallies, tally } from './tally.ts';

const index = new EffectiveIndex(MESH);
index.setPolicy(policy({ mode: 'Strict' }));
index.setPolicy(policy({ name: 'v2', app: 'v2', ports: { '8080': 'Disabled' } }));

function pod(
  name: string,
  sketch: PodSketch,
  acknowledged: boolean,
  refusal?: string,
  by: EffectiveIndex = index,
): TalliedPod {
  const { mesh, shape } = podRecord(name, sketch);
  if (mesh === undefined || shape === undefined) throw new Error('no pod');
  by.setPod(`shop/${name}`, shape);
  const answers = by.answersOf(`shop/${name}`, 0);
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
        policy: ' 1',
        sidecars: 5,
        sidecarsIn: { shop: 5 },
        total: 4,
        acknowledged: 2,
        enforced: 2,
        lagging: ['shop/c', 'shop/e'],
        refused: [{ pod: 'shop/e', error: 'no such filter' }],
      },
      'shop/v2': {
        policy: ' 1',
        sidecars: 1,
        sidecarsIn: { shop: 1 },
        total: 1,
        acknowledged: 1,
        enforced: 0,
        lagging: [],
        refused: [],
      },
    });
  });

  test('are those of a policy of the mesh, too, of which nothing but the minimum counts', () => {
    const lifted = new EffectiveIndex(MESH);
    lifted.setPolicy(policy({ namespace: MESH, name: 'mesh', minimum: 'Strict' }));
    lifted.setPolicy(policy({ mode: 'Permissive' }));
    const found = tally([pod('a', {}, true, undefined, lifted)], {
      workloads: [{ kind: 'Deployment', name: 'web', ...entry, policy: 'mtls-system/mesh' }],
    });
    expect([...found].map(([key, { enforced, total }]) => [key, enforced, total])).toEqual([
      ['shop/default', 1, 1],
      ['mtls-system/mesh', 1, 1],
    ]);
  });

  test('were counted by what a policy said, which is told as long as it was the same in all namespaces', () => {
    const tallies = new Tallies();
    tallies.set('shop', tally([pod('a', {}, true)], spec));
    tallies.set('bank', tally([pod('a', {}, true)], spec));
    expect(tallies.of('shop/default')?.policy).toBe(' 1');
    const later = new EffectiveIndex(MESH);
    later.setPolicy(policy({ mode: 'Strict', generation: 2 }));
    expect([...tallies.set('bank', tally([pod('a', {}, true, undefined, later)], spec))]).toEqual(['shop/default']);
    expect(tallies.of('shop/default')?.policy).toBeUndefined();
    tallies.set('shop', tally([pod('a', {}, true, undefined, later)], spec));
    expect(tallies.of('shop/default')?.policy).toBe(' 2');
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
