import { extension, type Message } from './message.ts';

/**
 * Passes bytes on. Never ends a silent connection: Envoy's default of an hour would cut database pools. @param statPrefix under which Envoy counts.
 */
export function tcpProxy(statPrefix: string, cluster: string, more: Message = {}): Message {
  return extension('envoy.filters.network.tcp_proxy', 'extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: statPrefix,
    cluster,
    idle_timeout: '0s',
    ...more,
  });
}

export const originalDestination: Message = extension(
  'envoy.filters.listener.original_dst',
  'extensions.filters.listener.original_dst.v3.OriginalDst',
);
