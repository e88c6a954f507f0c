import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MOST_WORKLOAD_PORTS,
  MOST_WORKLOADS,
  type Mode,
  type MTLSRolloutSpec,
  modes,
  mtlsRolloutSpecSchema,
} from '../api/index.ts';
import { type AcknowledgedOf, planRollout, type WantedWorkload } from './plan.ts';

const then = '2030-01-01T00:00:00Z';
const now = '2030-01-01T00:01:00Z';

const everybody: AcknowledgedOf = () => ({ clients: true, servers: true, drained: true });
const nobody: AcknowledgedOf = () => ({ clients: false, servers: false, drained: false });

interface Sketch {
  readonly name?: string;
  readonly mode: Mode;
  readonly ports?: Readonly<Record<number, Mode>>;
  readonly fresh?: boolean;
}

function workload({ name = 'web', mode, ports = {}, fresh = false }: Sketch): WantedWorkload {
  const policy = 'shop/default';
  return {
    kind: 'Deployment',
    name,
    fresh,
    others: { mode, policy },
    ports: new Map(Object.entries(ports).map(([port, of]) => [Number(port), { mode: of, policy }])),
  };
}

/** Runs to the end, with everybody answering at once. */
function settle(present: MTLSRolloutSpec, wanted: readonly WantedWorkload[]): MTLSRolloutSpec {
  for (let round = 0; round < 20; round++) {
    const next = planRollout(present, wanted, everybody, then);
    if (JSON.stringify(next) === JSON.stringify(present)) return next;
    present = next;
  }
  throw new Error(`it does not settle: ${JSON.stringify(present)}`);
}

const told = (spec: MTLSRolloutSpec): string[] =>
  (spec.workloads ?? []).flatMap(({ name, servers, clients, phase, ports = [] }) => [
    `${name}: ${servers} ${clients} ${phase}`,
    ...ports.map((port) => `${name}:${port.port}: ${port.servers} ${port.clients} ${port.phase}`),
  ]);

describe('the record of a namespace', () => {
  test('is empty where nobody runs', () => {
    expect(planRollout({}, [], everybody, now)).toEqual({});
  });

  test('begins, for a workload that was serving before anybody looked, by serving everybody', () => {
    expect(told(planRollout({}, [workload({ mode: 'Strict' })], nobody, now))).toEqual([
      'web: Permissive MutualTLS Servers',
    ]);
  });

  test.each<[Mode, string]>([
    ['Strict', 'web: Strict MutualTLS Servers'],
    ['Permissive', 'web: Permissive MutualTLS Servers'],
    ['Disabled', 'web: Disabled Plaintext Servers'],
  ])('begins, for a workload that never served, in its mode: %s', (mode, expected) => {
    expect(told(planRollout({}, [workload({ mode, fresh: true })], nobody, now))).toEqual([expected]);
  });

  test('names the policy that asks for it', () => {
    expect(planRollout({}, [workload({ mode: 'Strict' })], nobody, now).workloads?.[0]).toMatchObject({
      policy: 'shop/default',
      since: now,
      target: 'Strict',
    });
  });

  test('says since when a phase lasts, and keeps that while nothing changes', () => {
    const first = planRollout({}, [workload({ mode: 'Strict' })], nobody, then);
    const same = planRollout(first, [workload({ mode: 'Strict' })], nobody, now);
    const next = planRollout(same, [workload({ mode: 'Strict' })], everybody, now);
    expect(same.workloads?.[0]).toMatchObject({ phase: 'Clients' });
    expect(planRollout(same, [workload({ mode: 'Strict' })], nobody, '2031-01-01T00:00:00Z')).toEqual(same);
    expect(next.workloads?.[0]).toMatchObject({ servers: 'Strict', since: now });
  });

  test('moves each workload and each port by itself', () => {
    const wanted = [workload({ name: 'web', mode: 'Permissive' }), workload({ name: 'db', mode: 'Permissive' })];
    const settled = settle({}, wanted);
    const webOnly: AcknowledgedOf = (_, name) => (name === 'web' ? everybody : nobody)('', '', undefined);
    const strict = [
      workload({ name: 'web', mode: 'Strict', ports: { 9090: 'Permissive' } }),
      workload({ name: 'db', mode: 'Strict' }),
    ];
    const next = planRollout(planRollout(settled, strict, webOnly, now), strict, webOnly, now);
    expect(told(next)).toEqual([
      'db: Permissive MutualTLS Clients',
      'web: Strict MutualTLS Settled',
      'web:9090: Permissive MutualTLS Settled',
    ]);
  });

  test('lets a port with an entry of its own begin where the others stand', () => {
    const disabled = settle({}, [workload({ mode: 'Disabled' })]);
    const next = planRollout(disabled, [workload({ mode: 'Disabled', ports: { 8080: 'Strict' } })], nobody, now);
    expect(told(next)).toContain('web:8080: Disabled MutualTLS Clients');
  });

  test('brings a port that loses its entry to where the others are before it forgets it', () => {
    const settled = settle({}, [workload({ mode: 'Strict', ports: { 9090: 'Disabled' } })]);
    const wanted = [workload({ mode: 'Strict' })];
    const first = planRollout(settled, wanted, nobody, now);
    expect(told(first)).toEqual(['web: Strict MutualTLS Settled', 'web:9090: Disabled MutualTLS Clients']);
    expect(told(settle(first, wanted))).toEqual(['web: Strict MutualTLS Settled']);
  });

  test('forgets a workload that is gone', () => {
    const settled = settle({}, [workload({ name: 'web', mode: 'Strict' }), workload({ name: 'db', mode: 'Strict' })]);
    expect(told(planRollout(settled, [workload({ name: 'db', mode: 'Strict' })], everybody, now))).toEqual([
      'db: Strict MutualTLS Settled',
    ]);
  });

  test('is sorted, whatever the order of what is asked', () => {
    const wanted = ['c', 'a', 'b'].map((name) =>
      workload({ name, mode: 'Strict', ports: { 9: 'Disabled', 8: 'Disabled' } }),
    );
    const one = planRollout({}, wanted, nobody, now);
    expect(one).toEqual(planRollout({}, wanted.toReversed(), nobody, now));
    expect(one.workloads?.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(one.workloads?.[0]?.ports?.map(({ port }) => port)).toEqual([8, 9]);
  });

  test('has one mode for a workload with more ports than it holds, which serves whomever one of them is to serve', () => {
    const ports = Object.fromEntries(
      Array.from({ length: MOST_WORKLOAD_PORTS + 1 }, (_, index) => [index + 1, 'Disabled' as const]),
    );
    const settled = settle({}, [workload({ mode: 'Strict', ports: { 9090: 'Disabled' } })]);
    const next = settle(settled, [workload({ mode: 'Strict', ports })]);
    expect(told(next)).toEqual(['web: Permissive MutualTLS Settled']);
    expect(mtlsRolloutSpecSchema.parse(next)).toEqual(next);
  });

  test('never has more ports of a workload than it holds while they change', () => {
    const some = (from: number) =>
      Object.fromEntries(Array.from({ length: 100 }, (_, index) => [from + index, 'Disabled' as const]));
    let spec = settle({}, [workload({ mode: 'Strict', ports: some(1) })]);
    for (let round = 0; round < 20; round++) {
      spec = planRollout(spec, [workload({ mode: 'Strict', ports: some(1000) })], round < 5 ? nobody : everybody, now);
      expect(spec.workloads?.[0]?.ports?.length ?? 0).toBeLessThanOrEqual(MOST_WORKLOAD_PORTS);
    }
    expect(told(spec)).toContain('web:1000: Disabled Plaintext Settled');
    expect(told(spec)).not.toContain('web:1: Disabled Plaintext Settled');
  });

  test('keeps whom it has where there are too many workloads', () => {
    const many = Array.from({ length: MOST_WORKLOADS }, (_, index) => workload({ name: `w${index}`, mode: 'Strict' }));
    const settled = planRollout({}, many, everybody, now);
    const next = planRollout(settled, [workload({ name: 'a', mode: 'Strict' }), ...many], everybody, now);
    expect(next.workloads?.length).toBe(MOST_WORKLOADS);
    expect(next.workloads?.some(({ name }) => name === 'a')).toBe(false);
  });

  test('always is one that the kind takes, and settles', () => {
    const mode = fc.constantFrom(...modes);
    const sketch = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      mode,
      ports: fc.dictionary(fc.constantFrom('80', '443', '9090'), mode),
      fresh: fc.boolean(),
    });
    const some = fc.uniqueArray(sketch, { selector: ({ name }) => name, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(some, fc.boolean()), { maxLength: 12 }), some, (changes, last) => {
        let spec: MTLSRolloutSpec = {};
        for (const [wanted, answered] of changes)
          spec = planRollout(spec, wanted.map(workload), answered ? everybody : nobody, now);
        expect(mtlsRolloutSpecSchema.parse(spec)).toEqual(spec);
        const settled = settle(spec, last.map(workload));
        for (const line of told(settled))
          expect(line).toMatch(/Strict MutualTLS|Permissive MutualTLS|Disabled Plaintext/);
        for (const line of told(settled)) expect(line).toMatch(/Settled$/);
      }),
      { numRuns: 500 },
    );
  });
});
