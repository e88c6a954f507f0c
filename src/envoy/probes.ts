/**
 * What the proxy answers kubelet on a port of its own: that it is ready, and how the application is. Pure. The listener comes with all others, so that its port is there when they are.
 */
import { overHttp1, overHttp2, soleEndpoint } from './clusters.ts';
import { everyAddress, extension, hostAndPort, type Message, type Resource, socketAddress, types } from './message.ts';
import { probeSources, proxyPorts } from './names.ts';

/** What the proxy has to ask when kubelet asks it. */
export interface ProbeRoute {
  /** Of kubelet's request. */
  readonly path: string;
  /** Of the container. */
  readonly port: number;
  readonly ask:
    | {
        readonly by: 'http' | 'https';
        readonly path: string;
        /** It comes with a header Host of its author's, which is not touched. */
        readonly namesHost?: true;
      }
    | ({ readonly by: 'tcp' } & Watched)
    | ({ readonly by: 'grpc'; readonly service: string } & Watched);
}

/** What the proxy asks on its own, so that it has to know how long kubelet would wait. */
interface Watched {
  /** Left out: kubelet's default, a second. */
  readonly timeoutSeconds?: number | undefined;
}

export interface Probes {
  /** Where the application is asked: as kubelet would, at the pod's address. */
  readonly podAddress: string;
  readonly ipv6: boolean;
  readonly routes: readonly ProbeRoute[];
}

/** Path that answers as soon as the proxy has its listeners. */
export const READY_PATH = '/ready';

export function probeListener({ ipv6, podAddress, routes }: Probes): Resource {
  const health = routes.filter(isWatched).map((route) =>
    // A connect through a proxy always succeeds: it answers by what it has found out itself.
    extension('envoy.filters.http.health_check', 'extensions.filters.http.health_check.v3.HealthCheck', {
      pass_through_mode: false,
      headers: [{ name: ':path', string_match: { exact: route.path } }],
      cluster_min_healthy_percentages: { [clusterOf(route)]: { value: 1 } },
    }),
  );
  const asked = routes.flatMap(({ path, port, ask }) =>
    ask.by === 'http' || ask.by === 'https'
      ? [
          {
            match: { path },
            route: {
              cluster: clusterOf({ path, port, ask }),
              prefix_rewrite: ask.path,
              ...(ask.namesHost === true ? {} : { host_rewrite_literal: hostAndPort(podAddress, port) }),
              // kubelet's own timeout decides.
              timeout: '0s',
            },
          },
        ]
      : [],
  );
  return {
    '@type': types.listener,
    name: 'probes',
    ...everyAddress(proxyPorts.probes, ipv6),
    filter_chains: [
      {
        filters: [
          extension(
            'envoy.filters.network.http_connection_manager',
            'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            {
              stat_prefix: 'probes',
              route_config: {
                name: 'probes',
                virtual_hosts: [
                  {
                    name: 'probes',
                    domains: ['*'],
                    routes: [{ match: { path: READY_PATH }, direct_response: { status: 200 } }, ...asked],
                    // kubelet would follow it to this port, where there is no such path. Without it a redirection is an answer, as that to another host always is.
                    response_headers_to_remove: ['location'],
                  },
                ],
              },
              http_filters: [
                ...health,
                extension('envoy.filters.http.router', 'extensions.filters.http.router.v3.Router'),
              ],
            },
          ),
        ],
      },
    ],
  };
}

export function probeClusters({ podAddress, routes }: Probes): Resource[] {
  const clusters = new Map(routes.map((route) => [clusterOf(route), clusterFor(route, podAddress)]));
  return [...clusters.values()];
}

const isWatched = ({ ask }: ProbeRoute): boolean => ask.by === 'tcp' || ask.by === 'grpc';

/** One for each way to ask a port; of gRPC one for each service, and where the proxy asks on its own one for each time that it waits. */
function clusterOf({ port, ask }: ProbeRoute): string {
  const patience = 'timeoutSeconds' in ask && ask.timeoutSeconds !== undefined ? `-${ask.timeoutSeconds}s` : '';
  return `probe-${ask.by}-${port}${patience}${ask.by === 'grpc' ? `-${ask.service}` : ''}`;
}

function clusterFor(route: ProbeRoute, podAddress: string): Resource {
  const { port, ask } = route;
  const name = clusterOf(route);
  const source = podAddress.includes(':') ? probeSources.ipv6 : probeSources.ipv4;
  return {
    '@type': types.cluster,
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    // From this address nothing is redirected: it goes to the application, not to the proxy again.
    upstream_bind_config: { source_address: { address: source, port_value: 0 } },
    load_assignment: soleEndpoint(name, socketAddress(podAddress, port)),
    ...detailsOf(ask),
  };
}

function detailsOf(ask: ProbeRoute['ask']): Message {
  switch (ask.by) {
    case 'http':
      return oneRequestEach;
    case 'https':
      // As kubelet does it: the certificate is not verified.
      return {
        ...oneRequestEach,
        transport_socket: extension(
          'envoy.transport_sockets.tls',
          'extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        ),
      };
    case 'tcp':
      return { health_checks: [{ ...everySecond(ask), tcp_health_check: {} }] };
    case 'grpc':
      return {
        health_checks: [
          { ...everySecond(ask), grpc_health_check: ask.service === '' ? {} : { service_name: ask.service } },
        ],
        ...overHttp2(),
      };
  }
}

/**
 * A connection each, as kubelet does it: the application may close one that is kept just when it is asked again, which would pass for a failure, and a server that takes one connection at a
 * time would have no time for anybody else.
 */
const oneRequestEach: Message = overHttp1({ max_requests_per_connection: 1 });

/** kubelet counts failures itself: what is told is what was found last. Without traffic Envoy would look each minute only. */
function everySecond({ timeoutSeconds = 1 }: Watched): Message {
  return {
    timeout: `${timeoutSeconds}s`,
    interval: '1s',
    no_traffic_interval: '1s',
    unhealthy_threshold: 1,
    healthy_threshold: 1,
  };
}
