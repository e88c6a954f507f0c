/** What an Envoy is started with: who it is, and where the rest of its configuration comes from. Pure. */
import { isIP } from 'node:net';
import { overHttp2, soleEndpoint } from './clusters.ts';
import { inspectionCluster, inspectionListener } from './inspection.ts';
import { type Message, socketAddress } from './message.ts';
import { clusterNames, proxyPaths } from './names.ts';
import { clientTls } from './tls.ts';

export interface Bootstrap {
  /**
   * Who the proxy says that it is: the pod's UID, and its namespace/name. Left out where Envoy is told by `--service-node` and `--service-cluster`, since a pod has no UID yet
   * when its containers are written.
   */
  readonly node?: { readonly id: string; readonly cluster: string };
  readonly proxyApi: {
    /** DNS name or address of the Service. */
    readonly host: string;
    /** Where it is dialled; left out: where the host is found. */
    readonly address?: string | undefined;
    readonly port: number;
    readonly spiffeId: string;
  };
}

/**
 * What is counted: the rest of Envoy's thousands of statistics would be most of its memory. Who is spoken to and how, handshakes and why they fail, which certificate and
 * configuration are loaded, and what drains.
 */
const counted = [
  'tcp\\.(inbound|outbound|passthrough|blackhole).*\\.downstream_cx_(total|active)',
  'cluster\\..*\\.upstream_cx_(total|active|connect_fail)',
  // By these the health_check filter answers: what is not counted is 0 to it, too.
  'cluster\\.probe-.*\\.membership_(total|healthy|degraded|excluded)',
  '.*\\.ssl\\.(fail_verify.*|handshake|connection_error|certificate\\..*)',
  '.*no_filter_chain_match',
  'sds\\..*\\.(key_rotation_failed|update_rejected|update_success|version|version_text)',
  'listener_manager\\..*',
  'cluster_manager\\..*',
  'control_plane\\..*',
  'server\\.(live|state|days_until_first_cert_expiring)',
] as const;

export function bootstrap({ node, proxyApi }: Bootstrap): Message {
  const fromProxyApi = { ads: {}, resource_api_version: 'V3' };
  return {
    ...(node === undefined ? {} : { node }),
    // Mode 0600: it can tell everything and end the proxy.
    admin: { address: { pipe: { path: proxyPaths.admin, mode: 0o600 } } },
    static_resources: { listeners: [inspectionListener()], clusters: [proxyApiCluster(proxyApi), inspectionCluster()] },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: clusterNames.proxyApi } }],
      },
      lds_config: fromProxyApi,
      cds_config: fromProxyApi,
    },
    stats_config: {
      stats_matcher: { inclusion_list: { patterns: [{ safe_regex: { regex: `(${counted.join('|')})` } }] } },
    },
  };
}

function proxyApiCluster({ address, host, port, spiffeId }: Bootstrap['proxyApi']): Message {
  const dialled = address ?? host;
  return {
    name: clusterNames.proxyApi,
    // Envoy does not begin before a name is resolved.
    type: isIP(dialled) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '5s',
    // A replica that vanished without a word must not keep a proxy waiting.
    ...overHttp2({ connection_keepalive: { interval: '30s', timeout: '5s' } }),
    load_assignment: soleEndpoint(clusterNames.proxyApi, socketAddress(dialled, port)),
    transport_socket: clientTls({ peer: { exact: spiffeId }, serverName: host, alpn: 'h2' }),
  };
}
