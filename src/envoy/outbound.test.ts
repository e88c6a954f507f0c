import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  destinationName,
  type Endpoint,
  outboundListener,
  type Peer,
  parseDestinationName,
  passThroughCluster,
  podCluster,
  refusedCluster,
  serviceCluster,
  serviceEndpoints,
} from './outbound.ts';

const orders: Peer = { spiffeId: 'spiffe://cluster.local/ns/shop/sa/orders', serverFirstPort: undefined };
const cart: Peer = { spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart', serverFirstPort: undefined };
const database: Peer = { ...orders, serverFirstPort: 3306 };

function endpoint(address: string, peer: Peer | undefined, port = 8080): Endpoint {
  return { address, port, peer };
}

const name = 'dst|10.96.0.10:80';
const text = (value: unknown): string => JSON.stringify(value);

describe('the name by which a proxy asks for a destination', () => {
  test.each([
    ['10.96.0.10', 80, 'dst|10.96.0.10:80'],
    ['fd98::3', 8080, 'dst|[fd98::3]:8080'],
  ])('of %s and %i is %s', (address, port, expected) => {
    expect(destinationName(address, port)).toBe(expected);
    expect(parseDestinationName(expected)).toEqual({ address, port });
  });

  test('of every address can be read again', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((one) => !one.includes('%')),
    );
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 65_535 }), (dialled, port) => {
        expect(parseDestinationName(destinationName(dialled, port))).toEqual({ address: dialled, port });
      }),
    );
  });

  test.each([
    '',
    'dst|',
    'inbound',
    'dst|10.96.0.10',
    'dst|10.96.0.10:0',
    'dst|10.96.0.10:65536',
    'dst|10.96.0.300:80',
    'dst|fd98::3:80',
    'dst|[10.96.0.10]:80',
    'dst|[fd98::3%eth0]:80',
    'dst|10.96.0.10:80 ',
    'xdst|10.96.0.10:80',
    `dst|${'1'.repeat(10_000)}:80`,
  ])('is not %j', (asked) => {
    expect(parseDestinationName(asked)).toBeUndefined();
  });

  test('never throws, whatever is asked', () => {
    fc.assert(fc.property(fc.string(), (asked) => void parseDestinationName(asked)));
  });
});

describe('a Service', () => {
  const endpoints = [endpoint('10.244.0.3', orders), endpoint('10.244.0.4', undefined), endpoint('10.244.0.5', cart)];
  const peers = [orders, cart];

  test('has a transport for each identity, which takes that one alone, and one for plaintext', () => {
    const { transport_socket_matches: matches } = serviceCluster(name, peers, 'cluster.local');
    if (!Array.isArray(matches)) throw new Error('no matches');
    expect(matches.map((match) => [match.name, match.match.peer])).toEqual([
      ['plaintext', 'plaintext'],
      [cart.spiffeId, cart.spiffeId],
      [orders.spiffeId, orders.spiffeId],
    ]);
    expect(text(matches[1])).toContain(`{"exact":"${cart.spiffeId}"}`);
    expect(text(matches[0])).toContain('raw_buffer');
  });

  test('is spoken to by nobody where an endpoint selects no transport', () => {
    const cluster = serviceCluster(name, peers, 'cluster.local');
    expect(text(cluster['transport_socket'])).toContain('{"exact":"spiffe://cluster.local/nobody"}');
    expect(text(cluster)).not.toContain('"match":{}');
  });

  test('tells of each endpoint how it is spoken to', () => {
    const found = text(serviceEndpoints(name, endpoints));
    for (const peer of [orders.spiffeId, cart.spiffeId, 'plaintext'])
      expect(found).toContain(`{"envoy.transport_socket_match":{"peer":"${peer}"}}`);
  });

  test('is the same cluster whoever of its pods is first or twice there', () => {
    expect(serviceCluster(name, [cart, orders, cart], 'cluster.local')).toEqual(
      serviceCluster(name, peers, 'cluster.local'),
    );
  });

  test('dials a server that speaks first at the port of the proxy, and says by SNI which port is meant', () => {
    const first = [endpoint('10.244.0.3', database, 3306), endpoint('10.244.0.4', undefined, 3306)];
    const found = text(serviceEndpoints(name, first));
    expect(found).toContain('{"address":"10.244.0.3","port_value":15008}');
    expect(found).toContain('{"address":"10.244.0.4","port_value":3306}');
    expect(text(serviceCluster(name, [database], 'cluster.local'))).toContain('"sni":"3306.mesh"');
  });
});

describe('one pod', () => {
  test('is dialled itself, by mutual TLS with its identity', () => {
    const cluster = text(podCluster('dst|10.244.0.3:8080', endpoint('10.244.0.3', orders)));
    expect(cluster).toContain('{"address":"10.244.0.3","port_value":8080}');
    expect(cluster).toContain(`{"exact":"${orders.spiffeId}"}`);
    expect(cluster).toContain('"alpn_protocols":["mtls-operator"]');
  });

  test('without a sidecar is dialled in plaintext', () => {
    const cluster = text(podCluster('dst|10.244.0.4:8080', endpoint('10.244.0.4', undefined)));
    expect(cluster).toContain('raw_buffer');
    expect(cluster).not.toContain('UpstreamTlsContext');
  });
});

describe('a destination that is nobody’s', () => {
  test('in the mesh is closed at once, by a cluster without endpoints', () => {
    expect(refusedCluster(name)).toMatchObject({ type: 'STATIC' });
    expect(refusedCluster(name)).not.toHaveProperty('load_assignment');
  });

  test('elsewhere is passed on to where it was going', () => {
    expect(passThroughCluster(name)).toMatchObject({ type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' });
  });
});

test.each([
  ['a Service', serviceCluster(name, [orders], 'cluster.local')],
  ['one pod', podCluster(name, endpoint('10.244.0.5', orders))],
  ['what is not in the mesh', passThroughCluster(name)],
])('connections to %s are as many as applications open: without Envoy’s limit of 1,024 to a cluster', (_, cluster) => {
  expect(cluster).toHaveProperty('circuit_breakers.thresholds', [
    { max_connections: 4_294_967_295, max_pending_requests: 4_294_967_295, max_requests: 4_294_967_295 },
  ]);
});

describe('the listener', () => {
  const ranges = [
    { address: '10.96.0.0', length: 12 },
    { address: 'fd98::', length: 64 },
  ];

  test('asks for what is in the ranges of the mesh, and passes on all else', () => {
    const listener = outboundListener({ ranges, ipv6: true });
    expect(text(listener)).toContain('{"address_prefix":"10.96.0.0","prefix_len":12}');
    expect(text(listener['default_filter_chain'])).toContain('"cluster":"passthrough"');
  });

  test('listens on IPv6 only where the pod has it', () => {
    expect(outboundListener({ ranges, ipv6: false })).not.toHaveProperty('additional_addresses');
  });
});
