import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodePod, type PodRecord } from '../inventory/index.ts';
import type { Change } from '../kube/index.ts';
import { service, serviceObject, slice, sliceObject } from './builders.fixture.ts';
import { Destinations, type MeshNode } from './destinations.ts';
import type { MeshEndpointSlice } from './endpointSlice.ts';
import { candidatesOf } from './selectEndpoints.ts';
import type { MeshService } from './service.ts';

interface PodShape {
  readonly ips?: readonly string[];
  readonly version?: number;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly account?: string;
  readonly uid?: string;
  readonly made?: string;
}

function pod({ ips = ['10.1.0.1'], version = 7, ready = true, phase = 'Running', ...rest }: PodShape): PodRecord {
  const { hostNetwork = false, account = 'web', uid = 'u', made = '2030-01-01T00:00:00Z' } = rest;
  return decodePod({
    metadata: {
      namespace: 'shop',
      name: 'any',
      uid,
      resourceVersion: String(version),
      creationTimestamp: made,
    },
    spec: { hostNetwork, serviceAccountName: account, nodeName: 'node-1' },
    status: {
      phase,
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  }).value;
}

const at = (version: number) => ({ resourceVersion: String(version) });
const endpoints = (...addresses: readonly string[]) => addresses.map((address) => ({ addresses: [address] }));
const web = service(serviceObject({}));
const dual = service(serviceObject({ clusterIPs: ['10.96.0.1', 'fd00:96::1'] }));
const behind = (...addresses: readonly string[]): MeshEndpointSlice =>
  slice(sliceObject('web-1', { endpoints: endpoints(...addresses) }));

interface Objects {
  readonly services?: Readonly<Record<string, MeshService>>;
  readonly slices?: Readonly<Record<string, MeshEndpointSlice>>;
  readonly pods?: Readonly<Record<string, PodRecord>>;
}

function index({ services = {}, slices = {}, pods = {} }: Objects): Destinations {
  const made = new Destinations();
  for (const [key, after] of Object.entries(services)) made.applyService({ key, after });
  for (const [key, after] of Object.entries(slices)) made.applySlice({ key, after });
  for (const [key, after] of Object.entries(pods)) made.applyPod({ key, after });
  return made;
}

const unknown = { kind: 'unknown' };

describe('an address', () => {
  test('of a Service leads to it, at each of its ports', () => {
    const ports = [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ];
    const known = index({ services: { 'shop/web': service(serviceObject({ ports })) } });
    expect(known.find('10.96.0.1', 80)).toMatchObject({ kind: 'service', service: 'shop/web', port: { name: 'http' } });
    expect(known.find('10.96.0.1', 53)).toEqual(unknown);
    expect(known.find('10.96.0.1', 81)).toEqual(unknown);
  });

  test('of a Service is known in both families, however it is written', () => {
    const known = index({ services: { 'shop/web': dual } });
    for (const address of ['10.96.0.1', '::ffff:10.96.0.1', 'fd00:96::1', 'FD00:96:0:0::1'])
      expect(known.find(address, 80)).toMatchObject({ kind: 'service', service: 'shop/web' });
  });

  test('of a pod leads to it, at every port', () => {
    const known = index({ pods: { 'shop/web-1': pod({ ips: ['10.1.0.1', 'FD00::0:1'] }) } });
    for (const address of ['10.1.0.1', 'fd00::1'])
      expect(known.find(address, 12_345)).toEqual({ kind: 'pod', pod: 'shop/web-1' });
    expect(known.podAt('fd00:0::1')).toBe('shop/web-1');
  });

  test('of a Service goes before that of a pod, as in the kernel', () => {
    const known = index({ services: { 'shop/web': web }, pods: { 'shop/web-1': pod({ ips: ['10.96.0.1'] }) } });
    expect(known.find('10.96.0.1', 80)).toMatchObject({ kind: 'service' });
    expect(known.find('10.96.0.1', 81)).toEqual(unknown);
  });

  test.each<[string, Objects]>([
    ['nobody has', {}],
    ['a pod with the network of its host has', { pods: { 'shop/a': pod({ hostNetwork: true }) } }],
    ['a pod had that has ended', { pods: { 'shop/a': pod({ phase: 'Succeeded' }) } }],
    [
      'only endpoints of a Service have',
      { services: { 'shop/web': web }, slices: { 'shop/web-1': behind('10.1.0.1') } },
    ],
  ])('that %s is unknown', (_, objects) => {
    const known = index(objects);
    expect([known.find('10.1.0.1', 80), known.podAt('10.1.0.1')]).toEqual([unknown, undefined]);
  });

  test.each(['', 'web.shop.svc', '10.1.0', 'fe80::1%eth0'])('that is none is unknown: %j', (address) => {
    const known = index({ pods: { 'shop/web-1': pod({}) } });
    expect([known.find(address, 80), known.podAt(address)]).toEqual([unknown, undefined]);
  });

  test('of a node is nobody’s of the mesh, at every port, and a pod goes before a node that says that it has its address', () => {
    const known = index({ pods: { 'shop/web-1': pod({}) } });
    const node = { ...at(1), addresses: ['10.1.0.9', 'fd00:1::9', '10.1.0.1'] };
    expect(known.applyNode({ key: 'node-1', after: node })).toEqual(node.addresses);
    for (const address of ['10.1.0.9', 'fd00:1::9']) expect(known.find(address, 9100)).toEqual({ kind: 'node' });
    expect(known.find('10.1.0.1', 80)).toEqual({ kind: 'pod', pod: 'shop/web-1' });
    expect(known.applyNode({ key: 'node-1', after: { ...node, ...at(2) } })).toEqual([]);
    expect(known.applyNode({ key: 'node-1', after: { ...at(3), addresses: ['10.1.0.1'] } })).toEqual([
      '10.1.0.9',
      'fd00:1::9',
    ]);
    expect(known.find('10.1.0.9', 9100)).toEqual(unknown);
    expect(known.applyNode({ key: 'node-1' })).toEqual(['10.1.0.1']);
  });

  test('is given up with the object that had it', () => {
    const known = index({ services: { 'shop/web': web }, pods: { 'shop/web-1': pod({}) } });
    known.applyService({ key: 'shop/web', before: web });
    known.applyPod({ key: 'shop/web-1', before: pod({}) });
    expect([known.find('10.96.0.1', 80), known.find('10.1.0.1', 80)]).toEqual([unknown, unknown]);
  });
});

describe('of two pods that have one address', () => {
  test.each<[string, PodShape, PodShape]>([
    ['the one that has not ended', { version: 9, phase: 'Failed' }, { version: 8 }],
    ['the one that is ready, though the other was written to later', { version: 9, ready: false }, { version: 8 }],
    [
      'the younger one while neither is ready, though the other was written to later',
      { version: 9, ready: false, made: '2029-12-31T00:00:00Z' },
      { version: 8, ready: false },
    ],
    ['the later one while neither is ready', { version: 9, ready: false }, { version: 10, ready: false }],
    ['the later one where both seem ready', { version: 99 }, { version: 100 }],
  ])('%s is meant', (_, old, young) => {
    const [first, second] = [{ old: pod(old) }, { young: pod(young) }];
    expect(index({ pods: { ...first, ...second } }).podAt('10.1.0.1')).toBe('young');
    expect(index({ pods: { ...second, ...first } }).podAt('10.1.0.1')).toBe('young');
  });

  test('the other is meant when that one goes', () => {
    const known = index({ pods: { a: pod({ version: 8 }), b: pod({ version: 9 }) } });
    expect(known.applyPod({ key: 'b' })).toEqual(['10.1.0.1']);
    expect(known.podAt('10.1.0.1')).toBe('a');
  });
});

test('of two Services that have one address, as while an end has not been told yet, the later one is meant', () => {
  const named = (name: string, version: number) => service(serviceObject({}, { name, ...at(version) }));
  for (const services of [
    { 'shop/a': named('a', 10), 'shop/b': named('b', 9) },
    { 'shop/b': named('b', 9), 'shop/a': named('a', 10) },
  ])
    expect(index({ services }).find('10.96.0.1', 80)).toMatchObject({ service: 'shop/a' });
});

test('a new version of one of two Services that have one address may decide between them, and concerns it', () => {
  const named = (name: string, version: number) => service(serviceObject({}, { name, ...at(version) }));
  const known = index({ services: { 'shop/a': named('a', 10), 'shop/b': named('b', 9) } });
  expect(known.applyService({ key: 'shop/b', after: named('b', 11) })).toEqual(['10.96.0.1']);
  expect(known.find('10.96.0.1', 80)).toMatchObject({ service: 'shop/b' });
});

test('of what has not changed, the newest record is kept all the same, so that the older one is not held beside it', () => {
  const known = index({ services: { 'shop/web': web }, slices: { 'shop/web-1': behind() } });
  known.applyService({ key: 'shop/web', after: { ...web, ...at(8) } });
  known.applySlice({ key: 'shop/web-1', after: { ...behind(), ...at(8) } });
  expect([known.service('shop/web'), ...known.slicesOf('shop/web')]).toMatchObject([at(8), at(8)]);
});

test('the slices of a Service are those that name it, also when they come first', () => {
  const known = index({ slices: { 'shop/web-1': behind('10.1.0.1') } });
  const elsewhere = slice(sliceObject('db-1', {}, { 'kubernetes.io/service-name': 'db' }));
  known.applySlice({ key: 'shop/db-1', after: elsewhere });
  expect(known.slicesOf('shop/web')).toEqual([behind('10.1.0.1')]);
  known.applyService({ key: 'shop/web', after: web });
  expect(known.service('shop/web')).toBe(web);
  known.applySlice({ key: 'shop/web-1' });
  expect([known.slicesOf('shop/web'), known.slicesOf('shop/db')]).toEqual([[], [elsewhere]]);
});

describe('a change of', () => {
  const start = () =>
    index({
      services: { 'shop/web': dual, 'shop/db': service(serviceObject({ clusterIPs: ['10.96.0.2'] })) },
      slices: { 'shop/web-1': behind('10.1.0.1', '10.1.0.2') },
      pods: { 'shop/web-1': pod({}) },
    });

  test('a Service concerns its addresses, those it had and those it has', () => {
    const moved = service(serviceObject({ clusterIPs: ['10.96.0.9'] }));
    expect(start().applyService({ key: 'shop/web', after: moved })).toEqual(['10.96.0.1', 'fd00:96::1', '10.96.0.9']);
    expect(start().applyService({ key: 'shop/web' })).toEqual(['10.96.0.1', 'fd00:96::1']);
  });

  test('a slice concerns the addresses of its Service in its family', () => {
    expect(start().applySlice({ key: 'shop/web-1', after: behind('10.1.0.1') })).toEqual(['10.96.0.1']);
    expect(start().applySlice({ key: 'shop/web-1' })).toEqual(['10.96.0.1']);
  });

  test('the Service of a slice concerns both', () => {
    const after = slice(sliceObject('web-1', {}, { 'kubernetes.io/service-name': 'db' }));
    expect(start().applySlice({ key: 'shop/web-1', after })).toEqual(['10.96.0.1', '10.96.0.2']);
  });

  test('a pod concerns its addresses and those of the Services that have it as an endpoint', () => {
    const after = pod({ account: 'other' });
    expect(start().applyPod({ key: 'shop/web-1', after })).toEqual(['10.1.0.1', '10.96.0.1']);
    expect(start().applyPod({ key: 'shop/web-1' })).toEqual(['10.1.0.1', '10.96.0.1']);
    expect(start().applyPod({ key: 'shop/web-2', after: pod({ ips: ['10.1.0.2'] }) })).toEqual([
      '10.1.0.2',
      '10.96.0.1',
    ]);
    expect(start().applyPod({ key: 'shop/web-3', after: pod({ ips: ['10.1.0.3'] }) })).toEqual(['10.1.0.3']);
  });

  test.each<[string, (known: Destinations) => readonly string[]]>([
    ['a version', (known) => known.applyPod({ key: 'shop/web-1', after: pod({ version: 8 }) })],
    ['whether a pod is ready', (known) => known.applyPod({ key: 'shop/web-1', after: pod({ ready: false }) })],
    ['a pod without an address', (known) => known.applyPod({ key: 'shop/web-4', after: pod({ ips: [] }) })],
    ['a pod that is not known', (known) => known.applyPod({ key: 'shop/web-4' })],
    [
      'the version of a slice',
      (known) => known.applySlice({ key: 'shop/web-1', after: { ...behind('10.1.0.1', '10.1.0.2'), ...at(8) } }),
    ],
    ['the version of a Service', (known) => known.applyService({ key: 'shop/web', after: { ...dual, ...at(8) } })],
    [
      'a slice of a Service that is not known',
      (known) => known.applySlice({ key: 'x/y', after: { ...behind(), service: 'x/z' } }),
    ],
  ])('%s concerns nothing', (_, change) => {
    expect(change(start())).toEqual([]);
  });

  test('a pod concerns nothing where another one has its address', () => {
    const known = index({ pods: { old: pod({ version: 8, ready: false }), young: pod({ version: 7 }) } });
    expect(known.applyPod({ key: 'old', after: pod({ version: 9, ready: false, account: 'other' }) })).toEqual([]);
  });

  test('something else about a pod, as its mode, concerns the same addresses', () => {
    expect(start().concerning('shop/web-1')).toEqual(['10.1.0.1', '10.96.0.1']);
    expect(start().concerning('shop/web-9')).toEqual([]);
    const known = index({ pods: { old: pod({ ready: false }), young: pod({}) } });
    expect([known.concerning('old'), known.concerning('young')]).toEqual([[], ['10.1.0.1']]);
  });
});

// Few names and addresses, so that they meet.
const keys = fc.constantFrom('shop/a', 'shop/b', 'shop/c');
const podAddresses = ['10.1.0.1', '10.1.0.2', 'fd00::1'];
const serviceAddresses = ['10.96.0.1', '10.96.0.2', 'fd00:96::1', '10.1.0.2'];
const version = fc.integer({ min: 1, max: 12 });
const some = (all: readonly string[]) => fc.uniqueArray(fc.constantFrom(...all), { maxLength: 2 });
const gone = fc.constant(undefined);

const anyPod = fc
  .record({
    ips: some([...podAddresses, '10.96.0.1']),
    version,
    ready: fc.boolean(),
    account: fc.constantFrom('web', 'db'),
    phase: fc.constantFrom('Running', 'Running', 'Failed'),
    hostNetwork: fc.constantFrom(false, false, true),
  })
  .map(pod);
const anyService = fc
  .record({ clusterIPs: some(serviceAddresses), version, number: fc.constantFrom(80, 81) })
  .map(({ clusterIPs, version: of, number: port }) =>
    service(serviceObject({ clusterIPs, clusterIP: undefined, ports: [{ name: 'http', port }] }, at(of))),
  );
const anySlice = fc
  .record({ name: fc.constantFrom('a', 'b', 'c'), six: fc.boolean(), addresses: some(podAddresses), version })
  .map(({ name, six, addresses, version: of }) => {
    const content = { addressType: six ? 'IPv6' : 'IPv4', endpoints: endpoints(...addresses) };
    return { ...slice(sliceObject('any', content, { 'kubernetes.io/service-name': name })), ...at(of) };
  });

const anyNode = fc
  .record({ addresses: some([...podAddresses, '10.96.0.1']), version })
  .map(({ addresses, version: of }): MeshNode => ({ addresses, ...at(of) }));

const action = fc.oneof(
  fc.record({ what: fc.constant('pod' as const), key: keys, after: fc.oneof(anyPod, anyPod, gone) }),
  fc.record({ what: fc.constant('service' as const), key: keys, after: fc.oneof(anyService, anyService, gone) }),
  fc.record({ what: fc.constant('slice' as const), key: keys, after: fc.oneof(anySlice, anySlice, gone) }),
  fc.record({ what: fc.constant('node' as const), key: keys, after: fc.oneof(anyNode, gone) }),
);

function change<T>(key: string, after: T | undefined): Change<T> {
  return after === undefined ? { key } : { key, after };
}

/** All that a proxy is told of an address: who that is, and who answers there. */
function told(known: Destinations, records: ReadonlyMap<string, PodRecord>, address: string): string {
  const peer = (podAddress: string): unknown => {
    const key = known.podAt(podAddress);
    const mesh = key === undefined ? undefined : records.get(key)?.mesh;
    return [key, mesh?.account, mesh?.addresses];
  };
  return JSON.stringify(
    [80, 81].map((port) => {
      const found = known.find(address, port);
      if (found.kind === 'pod') return [found, peer(address)];
      if (found.kind !== 'service') return found;
      const family = address.includes(':') ? 'IPv6' : 'IPv4';
      const candidates = candidatesOf(known.slicesOf(found.service), found.port.name, family);
      return [found, candidates.map((one) => [one, peer(one.address)])];
    }),
  );
}

test('whatever comes and goes, the index answers as one that is made anew in any order, and names every address for which something has changed', () => {
  const universe = [...new Set([...podAddresses, ...serviceAddresses])];
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const known = new Destinations();
      const services = new Map<string, MeshService>();
      const slices = new Map<string, MeshEndpointSlice>();
      const pods = new Map<string, PodRecord>();
      const nodes = new Map<string, MeshNode>();
      const keep = <T>(map: Map<string, T>, key: string, after: T | undefined): Change<T> => {
        map.delete(key);
        if (after !== undefined) map.set(key, after);
        return change(key, after);
      };
      const apply = (one: (typeof actions)[number]): readonly string[] => {
        switch (one.what) {
          case 'pod':
            return known.applyPod(keep(pods, one.key, one.after));
          case 'service':
            return known.applyService(keep(services, one.key, one.after));
          case 'slice':
            return known.applySlice(keep(slices, one.key, one.after));
          case 'node':
            return known.applyNode(keep(nodes, one.key, one.after));
        }
      };
      for (const one of actions) {
        const before = universe.map((address) => told(known, pods, address));
        const concerned = apply(one);
        universe.forEach((address, place) => {
          if (told(known, pods, address) !== before[place]) expect(concerned).toContain(address);
        });
        expect(new Set(concerned).size).toBe(concerned.length);
      }
      const anew = new Destinations();
      for (const [key, after] of [...slices].reverse()) anew.applySlice({ key, after });
      for (const [key, after] of [...pods].reverse()) anew.applyPod({ key, after });
      for (const [key, after] of [...nodes].reverse()) anew.applyNode({ key, after });
      for (const [key, after] of [...services].reverse()) anew.applyService({ key, after });
      for (const address of universe) expect(told(known, pods, address)).toBe(told(anew, pods, address));
    }),
    { numRuns: 500 },
  );
});
