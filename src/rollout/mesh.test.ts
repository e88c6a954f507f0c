import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modes } from '../api/index.ts';
import { Mesh, NAMESPACES, PORTS, told } from './mesh.fixture.ts';
import { clientModeIn } from './step.ts';

// Most of it where it meets the rest.
const namespace = fc.constantFrom('shop' as const, 'shop' as const, 'shop' as const, 'bank' as const);
const workload = fc.constantFrom('a', 'a', 'b');
const replica = fc.constantFrom(0, 1);
const mode = fc.constantFrom(...modes);
const which = fc.nat(20);
const steps = fc.integer({ min: 1, max: 4 });

const happening = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('policy' as const),
      namespace,
      app: fc.constantFrom(undefined, undefined, 'v2'),
      mode,
      port: fc.option(mode, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('pod' as const),
      namespace,
      workload,
      labels: fc.constantFrom({}, { app: 'v2' }),
      ports: fc.constantFrom([], [8080]),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('gone' as const), which }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('connect' as const), which, replica }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('see' as const), which }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('replica' as const), replica, namespace, steps }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('replicaTells' as const), replica }) },
  { weight: 8, arbitrary: fc.record({ what: fc.constant('hear' as const), which, namespace, steps }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('report' as const), which }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('deliver' as const), which, count: steps }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('time' as const), ms: fc.constantFrom(60, 700, 4_000) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('takeOver' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('fault' as const),
      fault: fc.constantFrom('lost' as const, 'refused' as const),
    }),
  },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

async function happens(mesh: Mesh, one: Happening): Promise<void> {
  const proxy = () => {
    const all = [...mesh.proxies.values()];
    return 'which' in one ? all[one.which % Math.max(1, all.length)] : undefined;
  };
  const found = proxy();
  if (one.what === 'policy') {
    const name = one.app ?? 'default';
    const ports = one.port === undefined ? {} : { ports: { '8080': one.port } };
    const app = one.app === undefined ? {} : { app: one.app };
    mesh.setPolicy({ namespace: one.namespace, name, mode: one.mode, ...app, ...ports });
  } else if (one.what === 'pod') mesh.addPod(one.namespace, one.workload, one.labels, one.ports);
  else if (one.what === 'gone') found && mesh.removePod(found);
  else if (one.what === 'connect') found && mesh.connect(found, one.replica);
  else if (one.what === 'see') found && mesh.see(found);
  else if (one.what === 'replica') mesh.replicaHears(one.replica, one.namespace, one.steps);
  else if (one.what === 'replicaTells') mesh.replicaTells(one.replica);
  else if (one.what === 'hear') found && mesh.hear(found, one.namespace, one.steps);
  else if (one.what === 'report') found && mesh.report(found);
  else if (one.what === 'deliver') mesh.leaders[one.which % mesh.leaders.length]?.deliver(one.count);
  else if (one.what === 'time') await mesh.clock.advance(one.ms);
  else if (one.what === 'kill') mesh.kill();
  else if (one.what === 'takeOver') mesh.leaders.length < 3 && mesh.takeOver();
  else mesh.api.faults.push(one.fault);
  mesh.check();
}

/** A mesh that is at work: each workload has pods, and everything has settled once. */
async function atWork(): Promise<Mesh> {
  const mesh = new Mesh();
  mesh.setPolicy({ namespace: 'shop', mode: 'Disabled' });
  mesh.setPolicy({ namespace: 'bank', mode: 'Strict' });
  for (const of of NAMESPACES) for (const name of ['a', 'b']) mesh.addPod(of, name, {}, [8080]);
  await mesh.calmDown();
  return mesh;
}

/** The steps that are written meanwhile are known to leaders, and everybody but the one hears and tells of them. */
async function othersGoOn(mesh: Mesh, without: string, replicas: readonly number[]): Promise<void> {
  for (let round = 0; round < 10; round++) {
    for (const leader of mesh.leaders) leader.deliver();
    for (const replicaOf of replicas) mesh.replicaHears(replicaOf, 'shop', 1000);
    for (const proxy of mesh.proxies.values()) {
      if (proxy.key === without) continue;
      mesh.hear(proxy, 'shop', 1000);
      mesh.report(proxy);
    }
    for (const replicaOf of replicas) mesh.replicaTells(replicaOf);
    await mesh.clock.advance(600);
    mesh.check();
  }
}

const first = (mesh: Mesh, workloadName: string) => {
  const found = [...mesh.proxies.values()].find(
    (proxy) => proxy.namespace === 'shop' && proxy.workload === workloadName,
  );
  if (found === undefined) throw new Error(`no pod of ${workloadName}`);
  return found;
};
const servers = (mesh: Mesh) => told(mesh.api.record('shop')?.spec, 'a', 8080).servers;

describe('a step that would cut off waits', () => {
  test.each([
    ['for a client of another workload', (mesh: Mesh) => first(mesh, 'b').key, [0, 1]],
    [
      'for a client of another namespace',
      (mesh: Mesh) => [...mesh.proxies.keys()].find((key) => key.startsWith('bank/')) ?? '',
      [0, 1],
    ],
    ['for a replica that knows no better, as newcomers may come to it', () => '', [0]],
  ])('%s', async (_, without, replicas) => {
    const mesh = await atWork();
    mesh.setPolicy({ namespace: 'shop', mode: 'Strict' });
    await othersGoOn(mesh, without(mesh), replicas);
    expect(servers(mesh)).toBe('Disabled');
    expect(told(mesh.api.record('shop')?.spec, 'a', 8080)).toMatchObject({ clients: 'MutualTLS', phase: 'Clients' });
    await mesh.calmDown();
    expect(servers(mesh)).toBe('Strict');
  });

  test('for a proxy that a replica has told of and kubelet has not', async () => {
    const mesh = await atWork();
    mesh.addPod('shop', 'b', {}, []);
    for (const leader of mesh.leaders) leader.deliver();
    const newcomer = [...mesh.proxies.values()].at(-1);
    if (newcomer === undefined) throw new Error('no pod');
    mesh.connect(newcomer, 0);
    mesh.report(newcomer);
    mesh.setPolicy({ namespace: 'shop', mode: 'Strict' });
    await othersGoOn(mesh, newcomer.key, [0, 1]);
    expect(servers(mesh)).toBe('Disabled');
  });

  test('for nobody who is gone', async () => {
    const mesh = await atWork();
    mesh.setPolicy({ namespace: 'shop', mode: 'Strict' });
    const silent = first(mesh, 'b');
    await othersGoOn(mesh, silent.key, [0, 1]);
    mesh.removePod(silent);
    await othersGoOn(mesh, '', [0, 1]);
    expect(servers(mesh)).toBe('Strict');
  });
});

describe('a step that cuts nobody off', () => {
  test.each(['b', 'a'])(
    'of servers waits for its own alone, though a proxy of workload %s takes nothing any more',
    async (hung) => {
      const mesh = await atWork();
      mesh.setPolicy({ namespace: 'shop', mode: 'Permissive' });
      await mesh.calmDown();
      mesh.setPolicy({ namespace: 'shop', mode: 'Strict' });
      await othersGoOn(mesh, first(mesh, hung).key, [0, 1]);
      const phases = ['a', 'b'].map((name) => [name, told(mesh.api.record('shop')?.spec, name, 8080)]);
      expect(phases).toEqual(
        ['a', 'b'].map((name) => [
          name,
          { servers: 'Strict', clients: 'MutualTLS', phase: name === hung ? 'Servers' : 'Settled' },
        ]),
      );
    },
  );
});

describe('whatever happens, in whatever order, to leaders, replicas, proxies and policies', () => {
  test('no client that speaks plaintext meets a server that takes mutual TLS only, and all settles once it is left alone', async () => {
    let written = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 30, maxLength: 90 }), async (happenings) => {
        const mesh = await atWork();
        for (const one of happenings) await happens(mesh, one);
        await mesh.calmDown();
        for (const { namespace: of, workload: name } of mesh.proxies.values()) {
          for (const port of PORTS) {
            const asked = mesh.asked(of, name, port) ?? 'Permissive';
            expect([of, name, port, told(mesh.api.record(of)?.spec, name, port)]).toEqual([
              of,
              name,
              port,
              { servers: asked, clients: clientModeIn(asked), phase: 'Settled' },
            ]);
          }
        }
        for (const of of NAMESPACES) {
          const pods = [...mesh.proxies.values()].some((one) => one.namespace === of);
          expect([of, mesh.api.record(of) !== undefined]).toEqual([of, pods]);
        }
        written += mesh.api.writes;
        for (const leader of mesh.leaders) leader.kill();
      }),
      { numRuns: 150 },
    );
    expect(written).toBeGreaterThan(150);
  }, 120_000);
});
