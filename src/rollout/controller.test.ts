import { afterEach, describe, expect, test } from 'vitest';
import { findCondition, MOST_WORKLOADS } from '../api/index.ts';
import { FakeClock } from '../kube/index.ts';
import type { PolicyRecord } from '../policy/index.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { FakeApi, Leader, type PodSketch, type PolicySketch, podRecord, policyRecord } from './builders.fixture.ts';
import { told } from './mesh.fixture.ts';

const leaders: Leader[] = [];
afterEach(() => {
  for (const leader of leaders.splice(0)) leader.kill();
});

/** Everybody has everything at once, but for those that are silent. */
class Prompt implements Acknowledgements {
  readonly refused = [];
  readonly silent = new Set<string>();
  readonly #api: FakeApi;
  readonly #listeners = new Set<() => void>();

  constructor(api: FakeApi) {
    this.#api = api;
  }

  versionOf(namespace: string, proxy: string): string | undefined {
    return this.silent.has(proxy) ? undefined : this.renderedFrom(namespace);
  }

  renderedFrom(namespace: string): string | undefined {
    return this.#api.versionOf(namespace);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Of a machine on which work takes time: some passes between one reading and the next. */
class BusyClock extends FakeClock {
  #passed = 0;

  override now(): number {
    return super.now() + Math.floor(this.#passed);
  }

  override monotonic(): number {
    this.#passed += 0.4;
    return super.monotonic() + this.#passed;
  }
}

class World {
  readonly clock: FakeClock;
  readonly api = new FakeApi();
  readonly acknowledgements = new Prompt(this.api);
  readonly #pods: Map<string, ReturnType<typeof podRecord>>;
  readonly #policies: Map<string, PolicyRecord>;
  leader: Leader;
  #version = 10;

  constructor(
    policies: readonly PolicySketch[],
    pods: readonly PodSketch[],
    before: (api: FakeApi) => void = () => {},
    clock = new FakeClock(),
  ) {
    this.clock = clock;
    before(this.api);
    this.#pods = new Map(
      pods.map((pod, number) => [`${pod.namespace ?? 'shop'}/${number}`, podRecord(`${number}`, pod)]),
    );
    this.#policies = new Map(
      policies.map((policy, number) => [
        `${policy.namespace}/${policy.name ?? 'default'}`,
        policyRecord(policy, number + 1),
      ]),
    );
    this.leader = this.lead();
  }

  lead(): Leader {
    const leader = new Leader(this.api, this.clock, this.acknowledgements, this.#pods, this.#policies);
    leaders.push(leader);
    this.leader = leader;
    return leader;
  }

  setPolicy(policy: PolicySketch): void {
    this.leader.policyChanged(policyRecord(policy, ++this.#version));
  }

  /** Lets time pass while watches tell what there is to tell. */
  async pass(ms: number): Promise<void> {
    const slice = 50;
    for (let passed = 0; passed < ms; passed += slice) {
      this.leader.deliver();
      this.acknowledgements.tell();
      await this.clock.advance(slice);
    }
  }

  switchOf(port = 8080, workload = 'web') {
    return told(this.api.record('shop')?.spec, workload, port);
  }

  condition(type: string) {
    return findCondition(this.api.record('shop')?.status.conditions, type);
  }
}

const strict: PolicySketch = { namespace: 'shop', mode: 'Strict' };

describe('the record of a namespace', () => {
  test('is made with its first pod, and goes with the last', async () => {
    const world = new World([strict], []);
    await world.pass(200);
    expect(world.api.record('shop')).toBeUndefined();
    world.leader.podChanged('shop/a', podRecord('a', {}));
    await world.pass(10_000);
    expect(world.switchOf()).toEqual({ servers: 'Strict', clients: 'MutualTLS', phase: 'Settled' });
    world.leader.podChanged('shop/a', undefined);
    await world.pass(200);
    expect(world.api.record('shop')).toBeUndefined();
  });

  test('begins in its mode for a workload that was never started', async () => {
    const world = new World([strict], [{ started: false }]);
    await world.pass(50);
    expect(world.api.history.get('shop')?.[0]?.spec?.workloads?.[0]).toMatchObject({ servers: 'Strict' });
  });

  test('changes by itself when an entry of a policy ends', async () => {
    const until = new Date(new FakeClock().now() + 60_000).toISOString();
    const policy = { ...strict, ports: { '8080': 'Disabled' as const }, until: { '8080': until } };
    const world = new World([policy], [{ ports: [8080] }]);
    await world.pass(10_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Disabled', clients: 'Plaintext', phase: 'Settled' });
    await world.pass(60_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', clients: 'MutualTLS', phase: 'Settled' });
  });

  test('is not written again while nothing differs, nor by another leader', async () => {
    const world = new World([strict], [{}]);
    await world.pass(10_000);
    const { writes } = world.api;
    world.leader.kill();
    world.lead();
    await world.pass(10_000);
    expect(world.api.writes).toBe(writes);
  });

  test('is written for many workloads at once, not for each that acknowledges', async () => {
    const many = Array.from({ length: 50 }, (_, number) => ({ workload: `w${number}` }));
    const world = new World([{ ...strict, mode: 'Permissive' }], many);
    await world.pass(5_000);
    const { writes } = world.api;
    for (let number = 0; number < 50; number++) world.acknowledgements.silent.add(`${number}`);
    world.setPolicy(strict);
    for (let number = 0; number < 50; number++) {
      await world.pass(50);
      world.acknowledgements.silent.delete(`${number}`);
    }
    await world.pass(5_000);
    expect(world.switchOf(1, 'w49')).toMatchObject({ servers: 'Strict', phase: 'Settled' });
    expect(world.api.writes - writes).toBeLessThan(15);
  });

  test('is Draining until proxies have closed what is left of older connections, and a new leader waits anew', async () => {
    const world = new World([{ ...strict, mode: 'Permissive' }], [{}]);
    await world.pass(5_000);
    world.setPolicy(strict);
    await world.pass(2_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Draining' });
    world.leader.kill();
    world.lead().policyChanged(policyRecord(strict, 99));
    await world.pass(2_500);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Draining' });
    await world.pass(2_500);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Settled' });
  });

  test.each([1, 2, 3, 5, 8])(
    'is Settled after that though nothing else happens, and looks take time: %i workloads',
    async (count) => {
      const pods = Array.from({ length: count }, (_, number) => ({ workload: `w${number}`, ports: [1, 2, 3] }));
      const world = new World([{ ...strict, mode: 'Permissive' }], pods, undefined, new BusyClock());
      await world.pass(5_000);
      world.setPolicy(strict);
      await world.pass(2_000);
      expect(world.switchOf(1, 'w0')).toMatchObject({ servers: 'Strict', phase: 'Draining' });
      for (let passed = 0; passed < 10_000; passed += 50) await world.clock.advance(50);
      expect(world.switchOf(1, 'w0')).toMatchObject({ servers: 'Strict', phase: 'Settled' });
    },
  );

  test('says which workloads are too much for it, and serves the others', async () => {
    const pods = Array.from({ length: MOST_WORKLOADS + 1 }, (_, number) => ({
      workload: `w${String(number).padStart(4, '0')}`,
    }));
    const world = new World([{ ...strict, mode: 'Permissive' }], pods);
    await world.pass(300);
    expect(world.api.record('shop')?.spec.workloads?.length).toBe(MOST_WORKLOADS);
    expect(world.condition('Settled')).toMatchObject({ status: 'False', reason: 'TooManyWorkloads' });
    expect(world.condition('Settled')?.message).toContain('Deployment/w4096');
  });
});

describe('a policy is told of its sidecars', () => {
  const of = (leader: Leader) => leader.controller.enforcement.of('shop/default');
  const all = { total: 1, acknowledged: 1, enforced: 1 };

  test('when a leader has counted them, and not before: it would seem to have lost them', async () => {
    const world = new World([strict], [{}]);
    expect(of(world.leader)).toBe('before');
    await world.pass(10_000);
    expect(of(world.leader)).toMatchObject(all);
    world.leader.kill();
    const next = world.lead();
    expect(of(next)).toBe('before');
    await world.pass(100);
    expect(of(next)).toMatchObject(all);
    expect(next.told).toContain('shop/default');
  });

  test('when they have been counted since it was made', async () => {
    const world = new World([], [{}]);
    await world.pass(10_000);
    expect(of(world.leader)).toBeUndefined();
    world.setPolicy(strict);
    world.leader.deliver();
    expect(of(world.leader)).toBe('before');
    await world.pass(100);
    expect(of(world.leader)).toMatchObject({ total: 1 });
    expect(world.leader.told).toContain('shop/default');
  });

  test('at once where no pod of its namespace has one', async () => {
    const world = new World([strict], []);
    await world.pass(50);
    expect(of(world.leader)).toBeUndefined();
  });
});

describe('a write', () => {
  test('whose answer is lost is found to be our own', async () => {
    const world = new World([{ ...strict, mode: 'Permissive' }], [{}]);
    await world.pass(5_000);
    world.api.faults.push('lost', 'lost');
    world.setPolicy(strict);
    await world.pass(10_000);
    expect(world.api.faults).toEqual([]);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Settled' });
    expect(world.condition('Repaired')).toBeUndefined();
    const modes = world.api.history.get('shop')?.map(({ spec }) => spec?.workloads?.[0]?.servers);
    expect(modes?.slice(modes.indexOf('Strict')).every((mode) => mode === 'Strict')).toBe(true);
  });

  test('of a leader whose cache is old is refused', async () => {
    const world = new World([{ ...strict, mode: 'Permissive' }], [{}]);
    await world.pass(5_000);
    const former = world.leader;
    world.lead();
    world.setPolicy({ ...strict, mode: 'Disabled' });
    await world.pass(5_000);
    const version = world.api.record('shop')?.resourceVersion;
    former.policies.writer().apply('shop/default', policyRecord(strict, 50));
    for (let time = 0; time < 20; time++) await world.clock.advance(100);
    expect(world.api.record('shop')?.resourceVersion).toBe(version);
    expect(world.switchOf()).toMatchObject({ servers: 'Disabled' });
  });
});

describe('a record that somebody deletes', () => {
  const writtenSince = (world: World, version: number) =>
    (world.api.history.get('shop') ?? [])
      .filter((one) => one.version > version && one.spec !== undefined)
      .map(({ spec }) => told(spec, 'web', 1).servers);

  test('is made again as it was by the leader that knows it, though it cannot at first', async () => {
    const world = new World([strict], [{}]);
    await world.pass(10_000);
    const { version } = world.api;
    world.api.faults.push('refused');
    world.api.delete('shop');
    await world.pass(10_000);
    expect(world.switchOf()).toEqual({ servers: 'Strict', clients: 'MutualTLS', phase: 'Settled' });
    expect(new Set(writtenSince(world, version))).toEqual(new Set(['Strict']));
  });

  test('begins by taking plaintext and mutual TLS alike where nobody knows what it was', async () => {
    const world = new World([strict], [{}]);
    await world.pass(10_000);
    const { version } = world.api;
    world.leader.kill();
    world.api.delete('shop');
    world.lead();
    await world.pass(10_000);
    expect(writtenSince(world, version)[0]).toBe('Permissive');
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Settled' });
  });
});

describe('a record that cannot be read', () => {
  const entry = {
    target: 'Strict',
    servers: 'Strict',
    clients: 'MutualTLS',
    phase: 'Settled',
    since: '2030-01-01T00:00:00Z',
  };

  test('is put back by the leader that knows what it was', async () => {
    const world = new World([strict], [{}]);
    await world.pass(10_000);
    world.api.put('shop', { workloads: [{ kind: 'Deployment', name: 'web', servers: 'Stricter' }] });
    await world.pass(10_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Settled' });
    const after = world.api.history.get('shop')?.map(({ spec }) => told(spec, 'web', 1).servers) ?? [];
    expect(after.slice(after.indexOf('Strict')).filter((mode) => mode !== 'Strict')).toEqual(['Permissive']);
  });

  test('takes both where nobody knows what it was, until all have acknowledged, and says what was wrong', async () => {
    const world = new World([strict], [{}, { workload: 'db' }], (api) =>
      api.put('shop', {
        workloads: [
          { kind: 'Deployment', name: 'web', servers: 'Stricter' },
          { kind: 'Deployment', name: 'db', ...entry },
        ],
      }),
    );
    world.acknowledgements.silent.add('0');
    await world.pass(1_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Permissive', clients: 'MutualTLS' });
    expect(world.switchOf(1, 'db')).toEqual({ servers: 'Strict', clients: 'MutualTLS', phase: 'Settled' });
    expect(world.condition('Repaired')).toMatchObject({ status: 'True', reason: 'RecordUnreadable' });
    expect(world.condition('Repaired')?.message).toContain('spec.workloads[0].servers');
    world.acknowledgements.silent.clear();
    await world.pass(10_000);
    expect(world.switchOf()).toMatchObject({ servers: 'Strict', phase: 'Settled' });
    expect(world.condition('Repaired')).toBeUndefined();
  });
});
