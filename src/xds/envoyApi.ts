/**
 * Envoy's messages between their JSON and their bytes. What there is of Envoy's API comes from envoyApi.json, which is generated from the packages of Envoy's authors
 * (test/xds/envoyapi): a field, a value or a type that it does not know is an error, never left out in silence.
 */
import {
  createFileRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import {
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import envoyApi from './envoyApi.json' with { type: 'json' };

/** A message in the JSON mapping of protobuf (proto3). */
export interface JsonMessage {
  readonly [field: string]: unknown;
}

const wellKnown = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
];

const registry = loadRegistry();

function loadRegistry() {
  const files = fromJson(FileDescriptorSetSchema, envoyApi);
  files.file.unshift(...wellKnown.map(({ proto }) => proto));
  return createFileRegistry(files);
}

const URL_PREFIX = 'type.googleapis.com/';

function schemaOf(typeUrl: string): DescMessage {
  const name = typeUrl.startsWith(URL_PREFIX) ? typeUrl.slice(URL_PREFIX.length) : '';
  const schema = registry.getMessage(name);
  if (schema === undefined) throw new Error(`${typeUrl} is no type of Envoy's API that is known here`);
  return schema;
}

/**
 * Equal messages have equal bytes. @param message with its type as `@type`.
 * @throws Error naming the field that is wrong: the message was made by us, so this is a defect of ours.
 */
export function encode({ '@type': typeUrl, ...fields }: JsonMessage & { readonly '@type': string }): Uint8Array {
  const schema = schemaOf(typeUrl);
  return toBinary(schema, fromJson(schema, asJson(fields), { registry }));
}

/** With the names that fields have in .proto files. @throws Error if the bytes are no such message. */
export function decode(typeUrl: string, bytes: Uint8Array): JsonMessage {
  const schema = schemaOf(typeUrl);
  const json = toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName: true });
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error(`${typeUrl} is no object`);
  return json;
}

/** Whatever in it is no JSON is refused by the reader of the message, which names the field. */
function asJson(fields: JsonMessage): JsonValue {
  return fields as JsonValue;
}
