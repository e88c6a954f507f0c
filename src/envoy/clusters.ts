/** Forms of clusters that have more than one use. */
import { type Message, type Resource, typed, types } from './message.ts';

const MOST = 0xff_ff_ff_ff;

/**
 * For clusters that carry what applications say: as many connections as these want. Envoy's own limit for a cluster, 1,024, would close the next one of a
 * server that takes more, or of a client that keeps more, without a word to either.
 */
export const unlimited: Message = {
  circuit_breakers: { thresholds: [{ max_connections: MOST, max_pending_requests: MOST, max_requests: MOST }] },
};

/**
 * A silent connection is asked about each minute. A peer that has vanished without a word, its node with it, is noticed two minutes after its last one, and whoever forgets what is silent, as load
 * balancers do, hears something. What an application asks of its own socket goes to its sidecar and no further.
 */
export const keepalive: Message = { keepalive_time: 60, keepalive_interval: 10, keepalive_probes: 6 };

/** For clusters that lead out of the pod. */
export const toPeers: Message = { ...unlimited, upstream_connection_options: { tcp_keepalive: keepalive } };

/** Dials where the connection was going. */
export function originalDestinationCluster(name: string, more: Message = {}): Resource {
  return {
    '@type': types.cluster,
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '5s',
    ...unlimited,
    ...more,
  };
}

/** Without endpoints: whatever comes to it is closed at once. */
export function emptyCluster(name: string): Resource {
  return { '@type': types.cluster, name, type: 'STATIC', connect_timeout: '1s' };
}

/** The one endpoint of a cluster. */
export function soleEndpoint(cluster: string, address: Message): Message {
  return { cluster_name: cluster, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

/** A field of a cluster that is spoken to by HTTP/1.1. @param common to all versions of HTTP. */
export function overHttp1(common: Message): Message {
  return httpOptions({ common_http_protocol_options: common, explicit_http_config: { http_protocol_options: {} } });
}

/** A field of a cluster that is spoken to by HTTP/2. */
export function overHttp2(options: Message = {}): Message {
  return httpOptions({ explicit_http_config: { http2_protocol_options: options } });
}

function httpOptions(options: Message): Message {
  const name = 'extensions.upstreams.http.v3.HttpProtocolOptions';
  return { typed_extension_protocol_options: { [`envoy.${name}`]: typed(name, options) } };
}
