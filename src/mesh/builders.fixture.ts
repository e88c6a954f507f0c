/** Services and EndpointSlices as the API has them, one by one and at random. */
import fc from 'fast-check';
import { decodeEndpointSlice, type MeshEndpointSlice } from './endpointSlice.ts';
import { decodeMeshService, type MeshService } from './service.ts';

export const SERVICE = 'shop/web';

/** @param labels besides the one that names the Service. */
export function sliceObject(name: string, content: object, labels: object = {}): object {
  const metadata = {
    namespace: 'shop',
    name,
    resourceVersion: '7',
    labels: {
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      ...labels,
    },
  };
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }];
  return { metadata, addressType: 'IPv4', ports, ...content };
}

export function serviceObject(spec: object, metadata: object = {}): object {
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
  return {
    metadata: { namespace: 'shop', name: 'web', resourceVersion: '7', ...metadata },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports, ...spec },
  };
}

export function slice(object: object): MeshEndpointSlice {
  const decoded = decodeEndpointSlice(object);
  if (decoded === undefined) throw new Error(`of no interest: ${JSON.stringify(object)}`);
  return decoded.value;
}

export function service(object: object): MeshService {
  return decodeMeshService(object).value;
}

/** A Service with its slices, as the API has them. */
export interface World {
  readonly service: object;
  readonly slices: readonly object[];
}

export const nodes = ['node-1', 'node-2', 'node-3'] as const;
export const zones = ['zone-a', 'zone-b'] as const;
/** Each node is in one zone; the last is unknown to everybody, and has none. */
export const places = [
  { node: 'node-1', zone: 'zone-a' },
  { node: 'node-2', zone: 'zone-a' },
  { node: 'node-3', zone: 'zone-b' },
  { node: 'node-4', zone: 'zone-b' },
  { node: 'node-5', zone: 'zone-c' },
  { node: '', zone: '' },
] as const;

const addresses = {
  IPv4: ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.10', '010.001.000.4'],
  IPv6: ['fd00::1', 'fd00:0:0::2', 'FD00::A', 'fd00:0:0:1:0:0:0:1'],
  FQDN: ['web.example.com'],
} as const;
const addressType = fc.constantFrom<('IPv4' | 'IPv6' | 'FQDN')[]>('IPv4', 'IPv4', 'IPv4', 'IPv6', 'FQDN');
const portName = fc.constantFrom('http', 'admin', '');
/** One or two names, or with `least` 0 none at all. */
const names = (all: readonly string[], least: number) =>
  fc
    .uniqueArray(fc.constantFrom(...all), { minLength: least, maxLength: 2 })
    .map((chosen) => chosen.map((name) => ({ name })));

/** The hints of the endpoints of a Service are of one kind, unless somebody writes slices by hand. */
type Hints = 'None' | 'Zones' | 'Both' | 'Any';

const hintsOf = {
  None: fc.constant(undefined),
  Zones: fc.record({ forZones: names(zones, 1) }),
  Both: fc.record({ forZones: names(zones, 1), forNodes: names(nodes, 1) }),
  Any: fc.record({ forZones: names(zones, 0), forNodes: names(nodes, 0) }, { requiredKeys: [] }),
} as const satisfies Record<Hints, fc.Arbitrary<unknown>>;

interface EndpointObject {
  readonly addresses: readonly string[];
  readonly conditions: { readonly terminating?: boolean };
}

const endpoint = (type: keyof typeof addresses, hints: Hints) =>
  fc.record(
    {
      addresses: fc.constantFrom(...addresses[type]).map((address) => [address, '192.0.2.1']),
      conditions: fc.record(
        { ready: mostly(true), serving: mostly(true), terminating: mostly(false) },
        { requiredKeys: [] },
      ),
      hints: hintsOf[hints],
      nodeName: fc.constantFrom(...nodes),
      zone: fc.constantFrom(...zones),
    },
    { requiredKeys: ['addresses', 'conditions', 'hints'] },
  );

function mostly(usual: boolean): fc.Arbitrary<boolean> {
  return fc.constantFrom(usual, usual, !usual);
}

const sliceContent = (hints: Hints) =>
  addressType.chain((type) =>
    fc.record({
      addressType: fc.constant(type),
      ports: fc.uniqueArray(
        fc.record({
          name: portName,
          port: fc.constantFrom(8080, 8081, 80),
          protocol: fc.constantFrom('TCP', 'TCP', 'TCP', 'UDP'),
        }),
        { selector: ({ name }) => name, minLength: 1 },
      ),
      endpoints: fc.array(endpoint(type, hints), { maxLength: 4 }),
    }),
  );

/**
 * kube-proxy leaves it to chance which of several endpoints of one address counts, unless just one of them is not ending. Here at most one is and one is not, in all slices together.
 */
function decided<T extends { readonly endpoints: readonly EndpointObject[] }>(slices: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return slices.map((one) => ({
    ...one,
    endpoints: one.endpoints.filter(({ addresses: [address], conditions }) => {
      const key = `${address} ${conditions.terminating === true}`;
      return !seen.has(key) && seen.add(key);
    }),
  }));
}

const serviceSpec = fc
  .record({
    families: fc.constantFrom(['IPv4'], ['IPv6'], ['IPv4', 'IPv6'], ['IPv6', 'IPv4']),
    ports: fc.uniqueArray(
      fc.record({
        name: portName,
        port: fc.constantFrom(80, 81, 82),
        protocol: fc.constantFrom('TCP', 'TCP', 'TCP', 'UDP'),
        nodePort: fc.constantFrom(0, 30_080),
      }),
      { selector: ({ name }) => name, minLength: 1 },
    ),
    type: fc.constantFrom('ClusterIP', 'NodePort', 'NodePort', 'LoadBalancer', 'ExternalName'),
    internalTrafficPolicy: fc.constantFrom('Cluster', 'Cluster', 'Local'),
    externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
    healthCheckNodePort: fc.constant(30_999),
  })
  .map(({ families: ipFamilies, ...rest }) => {
    const clusterIPs = ipFamilies.map((family) => (family === 'IPv4' ? '10.96.0.1' : 'fd00:96::1'));
    return { ...rest, ipFamilies, clusterIPs, clusterIP: clusterIPs[0] };
  });

/** Worlds for which kube-proxy has one answer. */
export const worlds: fc.Arbitrary<World> = fc.constantFrom<Hints[]>('None', 'Zones', 'Both', 'Any').chain((hints) =>
  fc
    .record({ spec: serviceSpec, contents: fc.array(sliceContent(hints), { maxLength: 4 }) })
    .map(({ spec, contents }) => ({
      service: serviceObject(spec),
      slices: decided(contents).map((content, index) => sliceObject(`web-${index}`, content)),
    })),
);

/** The slices of a world that are of interest. */
export function slicesOf({ slices }: World): readonly MeshEndpointSlice[] {
  return slices.flatMap((object) => decodeEndpointSlice(object)?.value ?? []);
}
