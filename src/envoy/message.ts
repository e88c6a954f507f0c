/** Messages of Envoy in the JSON mapping of protobuf (proto3), with the field names of the .proto files. */
export type Json = string | number | boolean | null | readonly Json[] | Message;
export interface Message {
  readonly [field: string]: Json;
}

/** One that says what it is, as whatever a configuration server hands out does. */
export type TypedMessage = Message & { readonly '@type': string };

/** `name` tells resources of one type apart. */
export type Resource = TypedMessage & { readonly name: string };

const PREFIX = 'type.googleapis.com/envoy.';

export const types = {
  listener: `${PREFIX}config.listener.v3.Listener`,
  cluster: `${PREFIX}config.cluster.v3.Cluster`,
  endpoints: `${PREFIX}config.endpoint.v3.ClusterLoadAssignment`,
} as const;

/** An extension's configuration, as it stands in `typed_config`. @param type without `envoy.`, as in `extensions.filters.network.tcp_proxy.v3.TcpProxy`. */
export function typed(type: string, fields: Message = {}): TypedMessage {
  return { '@type': PREFIX + type, ...fields };
}

/** As it stands in a URL (RFC 3986, section 3.2). */
export function hostAndPort(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** A named extension. */
export function extension(name: string, type: string, fields: Message = {}): Message {
  return { name, typed_config: typed(type, fields) };
}

/** Where a listener listens: on all addresses of the pod. Without IPv6 in the pod, one on :: may not even start. */
export function everyAddress(port: number, ipv6: boolean): Message {
  return {
    address: socketAddress('0.0.0.0', port),
    ...(ipv6 ? { additional_addresses: [{ address: socketAddress('::', port) }] } : {}),
  };
}

export function socketAddress(address: string, port: number): Message {
  return { socket_address: { address, port_value: port } };
}
