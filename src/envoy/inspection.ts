/**
 * What a proxy tells of what it has loaded, to whoever may come to its loopback address: applications of its pod, and people who may forward ports to it. Two questions, word for word, and nothing
 * else of the admin interface, which can also end the proxy and print all that it knows. Part of the bootstrap, so that it answers while there is no other configuration. Pure.
 */
import { soleEndpoint } from './clusters.ts';
import { extension, type Message, socketAddress } from './message.ts';
import { clusterNames, proxyPaths, proxyPorts } from './names.ts';

/** Paths that are answered. */
export const inspectionPaths = {
  /** The listener of what comes to the pod: as it is at work, what waits to take its place, and what was refused. */
  inbound: '/inbound',
  /** The certificate that the proxy shows, and the roots that it trusts. */
  identity: '/identity',
} as const;

/** A question to the admin interface. The mask leaves out the rest of it, keys above all: Envoy redacts them as well. A name has to match as a whole. */
function configDump(resource: string, fields: readonly string[], more = ''): string {
  return `/config_dump?resource=${resource}${more}&mask=${fields.join(',')}`;
}

const questions: readonly (readonly [path: string, question: string])[] = [
  [
    inspectionPaths.inbound,
    configDump(
      'dynamic_listeners',
      ['name', 'active_state', 'warming_state.version_info', 'error_state.details'],
      '&name_regex=inbound',
    ),
  ],
  [
    inspectionPaths.identity,
    configDump('dynamic_active_secrets', [
      'name',
      'version_info',
      'secret.tls_certificate.certificate_chain',
      'secret.validation_context.trusted_ca',
    ]),
  ],
];

/** On IPv4 in every pod: the loopback interface has 127.0.0.1 where the pod itself has IPv6 alone, and port forwarding dials it first. */
const LOOPBACK = '127.0.0.1';

export function inspectionListener(): Message {
  return {
    name: 'inspection',
    address: socketAddress(LOOPBACK, proxyPorts.inspection),
    filter_chains: [
      {
        filters: [
          extension(
            'envoy.filters.network.http_connection_manager',
            'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            {
              stat_prefix: 'inspection',
              codec_type: 'HTTP1',
              route_config: {
                name: 'inspection',
                virtual_hosts: [{ name: 'inspection', domains: ['*'], routes: questions.map(routeOf) }],
              },
              http_filters: [
                // The admin interface keeps whatever comes with a question: none needs anything.
                extension('envoy.filters.http.buffer', 'extensions.filters.http.buffer.v3.Buffer', {
                  max_request_bytes: 1,
                }),
                extension('envoy.filters.http.router', 'extensions.filters.http.router.v3.Router'),
              ],
            },
          ),
        ],
      },
    ],
  };
}

function routeOf([path, question]: (typeof questions)[number]): Message {
  const exactly = (name: string, exact: string): Message => ({ name, string_match: { exact } });
  return {
    // The header is path and query as they came: nobody adds to the question.
    match: { path, headers: [exactly(':method', 'GET'), exactly(':path', path)] },
    route: { cluster: clusterNames.admin, prefix_rewrite: question, timeout: '10s' },
  };
}

export function inspectionCluster(): Message {
  return {
    name: clusterNames.admin,
    type: 'STATIC',
    connect_timeout: '1s',
    // Each question takes the proxy's main thread: one after the other.
    circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 16 }] },
    load_assignment: soleEndpoint(clusterNames.admin, { pipe: { path: proxyPaths.admin } }),
  };
}
