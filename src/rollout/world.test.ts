import { describe, expect, test } from 'vitest';
import type { PodRecord } from '../inventory/index.ts';
import { MESH, type PolicySketch, policy } from '../policy/builders.fixture.ts';
import { EffectiveIndex } from '../policy/index.ts';
import { type PodSketch, podRecord } from './builders.fixture.ts';
import { type WantedWorld, wantedIn } from './world.ts';

const NOW = Date.UTC(2030, 5, 1);
const SOON = '2030-06-02T00:00:00Z';

function wanted(policies: readonly PolicySketch[], pods: readonly PodSketch[]): WantedWorld {
  const index = new EffectiveIndex(MESH);
  for (const one of policies) index.setPolicy(policy(one));
  const records = new Map<string, PodRecord>(
    pods.map((pod, number) => [`shop/${number}`, podRecord(`${number}`, pod)]),
  );
  for (const [key, { shape }] of records) if (shape !== undefined) index.setPod(key, shape);
  return wantedIn(records, (key) => index.answersOf(key, NOW));
}

const told = ({ workloads }: WantedWorld): string[] =>
  workloads.flatMap(({ name, others, ports }) => [
    `${name} ${others.mode} ${others.policy}`,
    ...[...ports].map(([port, { mode, policy: by }]) => `${name}:${port} ${mode} ${by}`),
  ]);

describe('what is asked of workloads', () => {
  test.each<[string, readonly PolicySketch[], readonly PodSketch[], readonly string[]]>([
    ['nothing where nobody has a sidecar', [{ mode: 'Strict' }], [{ sidecar: false }], []],
    [
      'the default where no policy is',
      [],
      [{ ports: [8080] }],
      ['web Permissive undefined', 'web:8080 Permissive undefined'],
    ],
    [
      'the mode of each port that pods declare',
      [{ mode: 'Strict', ports: { '9090': 'Disabled' } }],
      [{ ports: [9090, 8080] }],
      ['web Strict shop/default', 'web:8080 Strict shop/default', 'web:9090 Disabled shop/default'],
    ],
    [
      'the mode of a port that a policy names and no pod declares',
      [{ namespace: MESH, name: 'mesh', ports: { '9090': 'Disabled' } }, { mode: 'Strict' }],
      [{}],
      ['web Strict shop/default', 'web:9090 Strict shop/default'],
    ],
    [
      'a mode where pods of a workload agree, whoever asks for it',
      [{ mode: 'Strict' }, { name: 'v2', app: 'v2', mode: 'Strict' }],
      [{}, { labels: { app: 'v2' } }],
      ['web Strict shop/default'],
    ],
    [
      'to take both while old and new pods disagree, in the name of whoever wants just this',
      [{ mode: 'Strict' }, { name: 'v2', app: 'v2', mode: 'Permissive' }],
      [{}, { labels: { app: 'v2' } }],
      ['web Permissive shop/v2'],
    ],
    [
      'not to be spoken to in plaintext while one of its pods wants mutual TLS',
      [{ mode: 'Disabled' }, { name: 'v2', app: 'v2', mode: 'Strict' }],
      [{}, { labels: { app: 'v2' } }],
      ['web Permissive shop/default'],
    ],
    [
      'what the others have of a port that only some pods declare',
      [{ mode: 'Strict', ports: { '8080': 'Permissive' } }],
      [{ ports: [8080, 9090] }, { ports: [] }],
      ['web Strict shop/default', 'web:8080 Permissive shop/default', 'web:9090 Strict shop/default'],
    ],
    [
      'nothing of pods without a sidecar',
      [{ mode: 'Strict' }, { name: 'v1', app: 'v1', mode: 'Disabled' }],
      [{}, { labels: { app: 'v1' }, sidecar: false }],
      ['web Strict shop/default'],
    ],
  ])('%s', (_, policies, pods, expected) => {
    expect(told(wanted(policies, pods))).toEqual(expected);
  });

  test('the same, whatever the order of pods', () => {
    const pods = [
      { workload: 'b' },
      { workload: 'a', ports: [2, 1] },
      { workload: 'a', ports: [3], labels: { app: 'v2' } },
    ];
    const policies: PolicySketch[] = [{ mode: 'Strict' }, { name: 'v2', app: 'v2', mode: 'Disabled' }];
    expect(wanted(policies, pods)).toEqual(wanted(policies, pods.toReversed()));
  });

  test('until the first entry of a policy ends that speaks for one of them', () => {
    const policies: PolicySketch[] = [{ mode: 'Strict', ports: { '9090': 'Disabled' }, until: { '9090': SOON } }];
    expect(wanted(policies, [{}]).until).toBe(Date.parse(SOON));
    expect(wanted([{ mode: 'Strict' }], [{}]).until).toBe(Number.POSITIVE_INFINITY);
  });

  test('by its ports that differ alone where all of them would be too much for one object', () => {
    const ports = [1, 2, 3, 4, 8080];
    const many = Array.from({ length: 1000 }, (_, number) => ({ workload: `w${number}`, ports }));
    const { workloads } = wanted([{ mode: 'Strict', ports: { '8080': 'Disabled' } }], many);
    expect(workloads.length).toBe(1000);
    for (const { ports: of } of workloads) expect([...of.keys()]).toEqual([8080]);
  });

  test('never without the modes of a pod: it would seem to be gone', () => {
    expect(() => wantedIn([['shop/1', podRecord('1', {})]], () => undefined)).toThrow(
      'the modes of pod shop/1 are not known',
    );
  });
});

describe('a workload is fresh', () => {
  test.each<[string, readonly PodSketch[], boolean]>([
    ['before its containers were ever started', [{ running: true, started: false }], true],
    ['not once one of its pods was', [{ started: false }, { started: true }], false],
    ['not while pods from before injection serve', [{ started: false }, { sidecar: false, started: true }], false],
    ['whatever other workloads do', [{ started: false }, { workload: 'other', started: true }], true],
  ])('%s', (_, pods, fresh) => {
    expect(wanted([], pods).workloads.find(({ name }) => name === 'web')?.fresh).toBe(fresh);
  });
});
