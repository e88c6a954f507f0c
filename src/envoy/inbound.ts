/**
 * What comes to a pod, by the mode of each port: pure. Every port has a chain for mutual TLS of the mesh, which is the same in all modes, so that a switch drains plaintext
 * connections at the most. Disabled serves what Permissive does, byte for byte: there only clients differ.
 */
import type { Mode } from '../api/index.ts';
import { emptyCluster, keepalive, originalDestinationCluster } from './clusters.ts';
import { everyAddress, extension, type Message, type Resource, types } from './message.ts';
import {
  clusterNames,
  isReservedPort,
  loopbackSources,
  MESH_ALPN,
  proxyPorts,
  serverFirstCluster,
  serverFirstName,
} from './names.ts';
import { originalDestination, tcpProxy } from './tcpProxy.ts';
import { anyoneIn, serverTls } from './tls.ts';

export interface InboundPort {
  /** Of the container. */
  readonly number: number;
  readonly mode: Mode;
  /**
   * The server speaks first, as MySQL and SMTP do: nothing that a client sends tells whether it wants mutual TLS, so it comes to a port of the proxy's own. To be
   * declared when the pod starts: to change it later drains every connection.
   */
  readonly serverFirst: boolean;
}

export interface Inbound {
  readonly trustDomain: string;
  /** The pod has an IPv6 address. Without one, a listener on :: may not even start. */
  readonly ipv6: boolean;
  /** Ports that the pod declares or policies name. Those of the proxy itself are passed over. */
  readonly ports: readonly InboundPort[];
  /** Mode of every other port. */
  readonly others: Mode;
}

export function inboundListener(inbound: Inbound): Resource {
  const { ipv6, others } = inbound;
  const ports = portsInOrder(inbound.ports);
  return {
    '@type': types.listener,
    name: 'inbound',
    ...everyAddress(proxyPorts.inbound, ipv6),
    traffic_direction: 'INBOUND',
    tcp_keepalive: keepalive,
    listener_filters: [originalDestination, tlsInspector(ports)],
    // A client that says nothing for so long waits for the server's greeting: then it is plaintext.
    listener_filters_timeout: '5s',
    continue_on_listener_filters_timeout: true,
    // No default chain: plaintext entered Strict ports through it.
    filter_chains: [
      ...ownPorts(),
      ...ports.flatMap((port) => (port.serverFirst ? serverFirstChains(port, inbound) : portChains(port, inbound))),
      ...chains('any', {}, others, inbound),
    ],
  };
}

function portsInOrder(ports: readonly InboundPort[]): InboundPort[] {
  return ports.filter(({ number }) => !isReservedPort(number)).sort((one, other) => one.number - other.number);
}

/** Sorted, and of declared ports alone: whatever changes in it drains every connection. */
function tlsInspector(ports: readonly InboundPort[]): Message {
  const inspector = extension(
    'envoy.filters.listener.tls_inspector',
    'extensions.filters.listener.tls_inspector.v3.TlsInspector',
  );
  const silent = ports
    .filter(({ serverFirst }) => serverFirst)
    .map(({ number }) => ({ destination_port_range: { start: number, end: number + 1 } }));
  const [first, ...more] = silent;
  if (first === undefined) return inspector;
  return { ...inspector, filter_disabled: more.length === 0 ? first : { or_match: { rules: silent } } };
}

/** Without these, one connection to the proxy's own port is passed on to itself, a thousand times in half a second. What is for the loopback address alone is for nobody from outside. */
function ownPorts(): Message[] {
  const { inbound, inspection, outbound, serverFirst } = proxyPorts;
  return [outbound, inbound, serverFirst, inspection].map((port) => ({
    name: `own-${port}`,
    filter_chain_match: { destination_port: port },
    filters: [tcpProxy('blackhole', clusterNames.blackhole)],
  }));
}

function portChains({ number, mode }: InboundPort, inbound: Inbound): Message[] {
  return chains(String(number), { destination_port: number }, mode, inbound);
}

function chains(name: string, match: Message, mode: Mode, inbound: Inbound): Message[] {
  const overTls = { ...match, transport_protocol: 'tls' };
  const marked = mutualTls(`${name}-mtls`, { ...overTls, application_protocols: [MESH_ALPN] }, name, inbound);
  if (mode === 'Strict') return [marked, mutualTls(`${name}-mtls-unmarked`, overTls, name, inbound)];
  return [
    marked,
    plain(`${name}-application-tls`, overTls, `inbound_${name}_application_tls`),
    plain(`${name}-plaintext`, { ...match, transport_protocol: 'raw_buffer' }, `inbound_${name}_plaintext`),
  ];
}

function mutualTls(name: string, match: Message, port: string, inbound: Inbound, cluster?: string): Message {
  return {
    name,
    filter_chain_match: match,
    transport_socket: serverTls(anyoneIn(inbound.trustDomain)),
    transport_socket_connect_timeout: '5s',
    filters: [
      tcpProxy(`inbound_${port}_mtls`, cluster ?? clusterNames.application, {
        // The application must not see a connection whose handshake fails.
        upstream_connect_mode: 'ON_DOWNSTREAM_TLS_HANDSHAKE',
        max_early_data_bytes: 0,
      }),
    ],
  };
}

function plain(name: string, match: Message, statPrefix: string): Message {
  return { name, filter_chain_match: match, filters: [tcpProxy(statPrefix, clusterNames.plaintext)] };
}

/** The port itself takes plaintext or nothing; mutual TLS comes to the proxy's own port and says by SNI which port it wants. */
function serverFirstChains({ number, mode }: InboundPort, inbound: Inbound): Message[] {
  const match = {
    destination_port: proxyPorts.serverFirst,
    server_names: [serverFirstName(number)],
    transport_protocol: 'tls',
    application_protocols: [MESH_ALPN],
  };
  const mtls = mutualTls(`${number}-mtls`, match, String(number), inbound, serverFirstCluster(number));
  const own = { destination_port: number };
  // Left out in Strict it would fall to the chains of any port.
  if (mode === 'Strict')
    return [
      mtls,
      {
        name: `${number}-refused`,
        filter_chain_match: own,
        filters: [tcpProxy(`inbound_${number}_refused`, clusterNames.blackhole)],
      },
    ];
  return [mtls, plain(`${number}-plaintext`, own, `inbound_${number}_plaintext`)];
}

/** The clusters that the listener names: the same for every mode. */
export function inboundClusters({ ports, ipv6 }: Pick<Inbound, 'ports' | 'ipv6'>): Resource[] {
  const application = (name: string, more: Message = {}): Resource =>
    originalDestinationCluster(name, {
      upstream_bind_config: {
        source_address: { address: loopbackSources.ipv4, port_value: 0 },
        ...(ipv6 ? { extra_source_addresses: [{ address: { address: loopbackSources.ipv6, port_value: 0 } }] } : {}),
      },
      ...more,
    });
  return [
    application(clusterNames.application),
    application(clusterNames.plaintext),
    ...portsInOrder(ports)
      .filter(({ serverFirst }) => serverFirst)
      .map(({ number }) =>
        application(serverFirstCluster(number), { original_dst_lb_config: { upstream_port_override: number } }),
      ),
    emptyCluster(clusterNames.blackhole),
  ];
}
