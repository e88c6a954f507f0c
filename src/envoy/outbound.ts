/**
 * What leaves a pod: one listener that never changes, and a cluster for each destination, fetched when it is first dialled. A listener with a chain for every Service would be sent
 * anew to everybody whenever any Service changes. Pure.
 */
import { isIP } from 'node:net';
import { emptyCluster, originalDestinationCluster, soleEndpoint, toPeers } from './clusters.ts';
import {
  everyAddress,
  extension,
  hostAndPort,
  type Message,
  type Resource,
  socketAddress,
  type TypedMessage,
  types,
} from './message.ts';
import { clusterNames, MESH_SERVER_NAME, proxyPorts, serverFirstName } from './names.ts';
import { originalDestination, tcpProxy } from './tcpProxy.ts';
import { clientTls, nobodyIn, plaintextSocket } from './tls.ts';

/** A range of addresses, as in `10.96.0.0` and 12. */
export interface AddressRange {
  readonly address: string;
  readonly length: number;
}

export interface Outbound {
  /** Of pods and Services: there proxies ask before they dial. All else passes through. */
  readonly ranges: readonly AddressRange[];
  readonly ipv6: boolean;
}

/** How long a first connection waits for its destination to be known, before it is closed. */
const ON_DEMAND_TIMEOUT = '3s';

/**
 * Endpoints that are tried before a connection is closed: nothing of the application has been sent yet, and one that has just vanished, with its node perhaps, is news to nobody for a while.
 */
const CONNECT_ATTEMPTS = 3;

export function outboundListener({ ranges, ipv6 }: Outbound): Resource {
  return {
    '@type': types.listener,
    name: 'outbound',
    ...everyAddress(proxyPorts.outbound, ipv6),
    traffic_direction: 'OUTBOUND',
    listener_filters: [originalDestination],
    filter_chains: [
      {
        name: `own-${proxyPorts.outbound}`,
        filter_chain_match: { destination_port: proxyPorts.outbound },
        filters: [tcpProxy('blackhole', clusterNames.blackhole)],
      },
      {
        name: 'mesh',
        filter_chain_match: {
          prefix_ranges: ranges.map(({ address, length }) => ({ address_prefix: address, prefix_len: length })),
        },
        filters: [
          extension('envoy.filters.network.set_filter_state', 'extensions.filters.network.set_filter_state.v3.Config', {
            on_new_connection: [
              {
                object_key: 'envoy.tcp_proxy.cluster',
                format_string: { text_format_source: { inline_string: `${PREFIX}%DOWNSTREAM_LOCAL_ADDRESS%` } },
              },
            ],
          }),
          tcpProxy('outbound', clusterNames.blackhole, {
            // For Services with affinity: all clients of the pod have its address.
            hash_policy: [{ source_ip: {} }],
            max_connect_attempts: CONNECT_ATTEMPTS,
            on_demand: { odcds_config: { ads: {}, resource_api_version: 'V3' }, timeout: ON_DEMAND_TIMEOUT },
          }),
        ],
      },
    ],
    default_filter_chain: {
      name: 'passthrough',
      filters: [tcpProxy('passthrough', clusterNames.passthrough)],
    },
  };
}

export function outboundClusters(): Resource[] {
  return [passThroughCluster(clusterNames.passthrough)];
}

const PREFIX = 'dst|';

/** Name of the cluster by which a proxy asks for a destination: what it was dialled by. */
export function destinationName(address: string, port: number): string {
  return `${PREFIX}${hostAndPort(address, port)}`;
}

/** Reads what a proxy asks for. @returns undefined where it is no destination. */
export function parseDestinationName(name: string): { readonly address: string; readonly port: number } | undefined {
  const [, bracketed, plain, digits = ''] =
    /^dst\|(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(name) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined && isIP(bracketed) === 6) return { address: bracketed, port };
  if (plain !== undefined && isIP(plain) === 4) return { address: plain, port };
  return undefined;
}

/** Who answers at an endpoint. */
export interface Peer {
  /** Its identity, exactly. */
  readonly spiffeId: string;
  /** The container port whose server speaks first; undefined: it does not, or that is not declared. */
  readonly serverFirstPort: number | undefined;
}

export interface Endpoint {
  /** Of the pod. */
  readonly address: string;
  readonly port: number;
  /** undefined: it has no sidecar, or the port is Disabled: dialled in plaintext. */
  readonly peer: Peer | undefined;
}

/** Some values that select the transport of an endpoint. Never an empty match: what is not listed would be spoken to in plaintext without a word. */
const MATCH = 'envoy.transport_socket_match';
const PLAINTEXT = 'plaintext';

function matchOf(peer: Peer | undefined): string {
  if (peer === undefined) return PLAINTEXT;
  const { spiffeId, serverFirstPort } = peer;
  return serverFirstPort === undefined ? spiffeId : `${spiffeId} ${serverFirstPort}`;
}

/** An endpoint's address as it is dialled. */
function dialled({ address, port, peer }: Endpoint): Message {
  return socketAddress(address, peer?.serverFirstPort === undefined ? port : proxyPorts.serverFirst);
}

function socketOf(peer: Peer | undefined): Message {
  if (peer === undefined) return plaintextSocket;
  const { spiffeId, serverFirstPort } = peer;
  const serverName = serverFirstPort === undefined ? MESH_SERVER_NAME : serverFirstName(serverFirstPort);
  return clientTls({ peer: { exact: spiffeId }, serverName });
}

/**
 * The cluster of a Service's address: endpoints come apart, each selects how it is spoken to, and one that selects nothing known is spoken to by nobody.
 * @param affinity a client stays with its endpoint, as long as that is there (sessionAffinity ClientIP).
 * @param peers of all that `serviceEndpoints` tells of, those of Disabled ports too: a new identity changes the cluster; a new address or mode does not, so that a switch is no matter of
 * clusters, which Envoy warms up one by one.
 */
export function serviceCluster(name: string, peers: readonly Peer[], trustDomain: string, affinity = false): Resource {
  const byMatch = new Map<string, Peer | undefined>(peers.map((peer) => [matchOf(peer), peer]));
  byMatch.set(PLAINTEXT, undefined);
  const matches = [...byMatch].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    '@type': types.cluster,
    name,
    type: 'EDS',
    connect_timeout: '5s',
    ...toPeers,
    // Of all policies that go by a hash the one that moves fewest clients when endpoints come and go.
    ...(affinity ? { lb_policy: 'MAGLEV' } : {}),
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    transport_socket_matches: matches.map(([match, peer]) => ({
      name: match,
      match: { peer: match },
      transport_socket: socketOf(peer),
    })),
    transport_socket: clientTls({ peer: nobodyIn(trustDomain), serverName: MESH_SERVER_NAME }),
  };
}

/** @param name of the cluster. */
export function serviceEndpoints(name: string, endpoints: readonly Endpoint[]): TypedMessage {
  return {
    '@type': types.endpoints,
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: endpoints.map((endpoint) => ({
          endpoint: { address: dialled(endpoint) },
          metadata: { filter_metadata: { [MATCH]: { peer: matchOf(endpoint.peer) } } },
        })),
      },
    ],
  };
}

/** The cluster of one pod's address: whoever dials a pod means that pod. */
export function podCluster(name: string, endpoint: Endpoint): Resource {
  return {
    '@type': types.cluster,
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    ...toPeers,
    transport_socket: socketOf(endpoint.peer),
    load_assignment: soleEndpoint(name, dialled(endpoint)),
  };
}

/** For what is not known to be anybody: it is passed on to where it was going, in plaintext. */
export function passThroughCluster(name: string): Resource {
  return originalDestinationCluster(name, toPeers);
}

/**
 * For an address of the mesh at which there is nobody: it is closed at once. Never answer that there is no such cluster: Envoy would not ask again, and let
 * every later connection wait for its whole timeout.
 */
export function refusedCluster(name: string): Resource {
  return emptyCluster(name);
}
