import { describe, expect, test } from 'vitest';
import type { Mode, MTLSRolloutSpec } from '../api/index.ts';
import { mend } from './mend.ts';
import type { ClientMode } from './step.ts';

type Sketch = Readonly<Record<string, readonly [Mode, ClientMode]>>;

/** By name, or name:port. */
function spec(sketch: Sketch): MTLSRolloutSpec {
  const workloads = new Map<string, NonNullable<MTLSRolloutSpec['workloads']>[number]>();
  for (const [key, [servers, clients]] of Object.entries(sketch)) {
    const [name = '', port] = key.split(':');
    const of = { target: servers, servers, clients, phase: 'Settled' as const, since: '2030-01-01T00:00:00Z' };
    const before = workloads.get(name);
    if (before === undefined) workloads.set(name, { kind: 'Deployment', name, ...of });
    else workloads.set(name, { ...before, ports: [...(before.ports ?? []), { port: Number(port), ...of }] });
  }
  return { workloads: [...workloads.values()] };
}

const told = ({ workloads = [] }: MTLSRolloutSpec): Sketch =>
  Object.fromEntries(
    workloads.flatMap(({ name, ports = [], ...all }) => [
      [name, [all.servers, all.clients]] as const,
      ...ports.map((port) => [`${name}:${port.port}`, [port.servers, port.clients]] as const),
    ]),
  );

const strict = ['Strict', 'MutualTLS'] as const;
const disabled = ['Disabled', 'Plaintext'] as const;
const begun = ['Permissive', 'MutualTLS'] as const;

describe('a record that somebody else has written', () => {
  test.each<[string, Sketch, Sketch | undefined, Sketch]>([
    [
      'is believed by a leader that has just begun',
      { web: strict, db: disabled },
      undefined,
      { web: strict, db: disabled },
    ],
    ['is not believed by it where it contradicts itself', { web: ['Strict', 'Plaintext'] }, undefined, { web: begun }],
    ['is believed where it is what it was', { web: strict }, { web: strict }, { web: strict }],
    ['is believed where it takes more than before', { web: begun }, { web: strict }, { web: begun }],
    ['may not make servers Strict', { web: strict }, { web: disabled }, { web: begun }],
    ['may not make servers Strict that took both', { web: strict }, { web: begun }, { web: begun }],
    ['may not make clients speak plaintext', { web: disabled }, { web: strict }, { web: begun }],
    [
      'may not make a port Strict',
      { web: begun, 'web:80': strict },
      { web: begun, 'web:80': disabled },
      { web: begun, 'web:80': begun },
    ],
    [
      'may not add a port that is Strict',
      { web: begun, 'web:80': strict },
      { web: begun },
      { web: begun, 'web:80': begun },
    ],
    [
      'may add a port that is as the others',
      { web: strict, 'web:80': strict },
      { web: strict },
      { web: strict, 'web:80': strict },
    ],
    ['may not add a workload that is Strict', { web: strict }, {}, { web: begun }],
    [
      'may not have a port be like the others at once',
      { web: strict },
      { web: strict, 'web:80': disabled },
      { web: strict, 'web:80': begun },
    ],
    ['may take out a port that is as the others', { web: strict }, { web: strict, 'web:80': strict }, { web: strict }],
  ])('%s', (_, found, remembered, expected) => {
    const mended = mend(spec(found), remembered === undefined ? undefined : spec(remembered), false);
    expect(told(mended)).toEqual(expected);
  });

  test('is the same object where nothing is to be put right', () => {
    const found = spec({ web: strict });
    expect(mend(found, spec({ web: strict }), false)).toBe(found);
  });
});

describe('a record of which not all can be read', () => {
  test('is what the leader last knew it to be, and what is readable of it', () => {
    const mended = mend(spec({ web: strict }), spec({ web: strict, db: disabled }), true);
    expect(told(mended)).toEqual({ web: strict, db: disabled });
  });

  test('begins anew in what nobody knows', () => {
    expect(mend({}, undefined, true)).toEqual({});
    expect(told(mend(spec({ web: strict }), undefined, true))).toEqual({ web: strict });
  });
});
