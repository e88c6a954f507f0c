/** The messages of delta xDS on the wire: what an Envoy asks, and what it is answered. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { decode, encode, type JsonMessage } from './envoyApi.ts';
import type { Request, Resource, Response } from './session.ts';

/** The one method that is served: everything on one stream, in an order that is ours. */
export const DELTA_PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

const REQUEST = 'type.googleapis.com/envoy.service.discovery.v3.DeltaDiscoveryRequest';

/** Who an Envoy says that it is: in its first request only. */
export interface ProxyNode {
  readonly id: string;
  readonly cluster: string;
}

export interface ProxyRequest extends Request {
  readonly node: ProxyNode | undefined;
}

const requestSchema = z.object({
  node: z.object({ id: z.string().default(''), cluster: z.string().default('') }).optional(),
  type_url: z.string().min(1).max(200),
  resource_names_subscribe: z.array(z.string()).default([]),
  resource_names_unsubscribe: z.array(z.string()).default([]),
  initial_resource_versions: z.record(z.string(), z.string()).default({}),
  response_nonce: z.string().default(''),
  error_detail: z.object({ message: z.string().default('') }).optional(),
});

/** @throws Error if the bytes are no request. */
export function decodeRequest(bytes: Uint8Array): ProxyRequest {
  const request = requestSchema.parse(decode(REQUEST, bytes));
  return {
    node: request.node,
    type: request.type_url,
    subscribe: request.resource_names_subscribe,
    unsubscribe: request.resource_names_unsubscribe,
    initialVersions: new Map(Object.entries(request.initial_resource_versions)),
    nonce: request.response_nonce,
    error: request.error_detail?.message,
  };
}

/** What a proxy gets under a name, encoded once for all that get it: its version is its content. */
export function encodeResource(name: string, message: JsonMessage & { readonly '@type': string }): Resource {
  const value = encode(message);
  const version = createHash('sha256').update(value).digest('base64url').slice(0, 22);
  const resource = Buffer.concat([
    textField(1, version),
    field(2, Buffer.concat([textField(1, message['@type']), field(2, value)])),
    textField(3, name),
  ]);
  // A buffer of its own: a slice of Node's pool would keep alive whatever was beside it, several times its size, for as long as the resource is known.
  const pooled = field(RESOURCES, resource);
  const body = Buffer.allocUnsafeSlow(pooled.length);
  pooled.copy(body);
  return { name, version, body };
}

/** Number of the field `resources` in a response. */
const RESOURCES = 2;

/** A response: its resources are bytes already, and fields of a message may follow each other in any order. */
export function encodeResponse({ type, nonce, resources, removed }: Response): Buffer {
  return Buffer.concat([
    textField(4, type),
    textField(5, nonce),
    ...removed.map((name) => textField(6, name)),
    ...resources.map(({ body }) => body),
  ]);
}

function textField(number: number, text: string): Buffer {
  return field(number, Buffer.from(text, 'utf8'));
}

/** A field with a length: text, bytes or a message. */
function field(number: number, value: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.from([...bytes, rest]);
}
