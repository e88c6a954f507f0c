/**
 * Delta xDS on the wire, as far as a client looks at it that only counts: names and versions, nothing of what is in the resources. A thousand proxies in one process could not
 * afford more beside the server that is measured.
 */

export interface Said {
  readonly node?: { readonly id: string; readonly cluster: string };
  readonly type: string;
  readonly subscribe?: readonly string[];
  readonly versions?: ReadonlyMap<string, string>;
  readonly nonce?: string;
}

export interface Heard {
  readonly type: string;
  readonly nonce: string;
  /** Names and versions. */
  readonly resources: readonly (readonly [name: string, version: string])[];
  readonly removed: readonly string[];
}

/** A DeltaDiscoveryRequest as a message of gRPC. */
export function encodeRequest({ node, nonce, subscribe = [], type, versions }: Said): Buffer {
  const parts = [textField(2, type)];
  if (node !== undefined) parts.unshift(field(1, Buffer.concat([textField(1, node.id), textField(2, node.cluster)])));
  for (const name of subscribe) parts.push(textField(3, name));
  for (const [name, version] of versions ?? [])
    parts.push(field(5, Buffer.concat([textField(1, name), textField(2, version)])));
  if (nonce !== undefined) parts.push(textField(6, nonce));
  return framed(Buffer.concat(parts));
}

/** With the five octets that gRPC puts before a message. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A DeltaDiscoveryResponse. */
export function decodeResponse(message: Buffer): Heard {
  let type = '';
  let nonce = '';
  const resources: (readonly [string, string])[] = [];
  const removed: string[] = [];
  for (const [number, value] of fieldsOf(message)) {
    if (number === 2) resources.push(nameAndVersion(value));
    else if (number === 4) type = value.toString('utf8');
    else if (number === 5) nonce = value.toString('utf8');
    else if (number === 6) removed.push(value.toString('utf8'));
  }
  return { type, nonce, resources, removed };
}

function nameAndVersion(resource: Buffer): readonly [name: string, version: string] {
  let name = '';
  let version = '';
  for (const [number, value] of fieldsOf(resource)) {
    if (number === 1) version = value.toString('utf8');
    else if (number === 3) name = value.toString('utf8');
  }
  return [name, version];
}

/** Fields with a length; there are no others in these messages. */
function* fieldsOf(message: Buffer): Generator<readonly [number: number, value: Buffer]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('a message ends too early');
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    if ((tag & 7) !== 2) throw new Error(`a field of wire type ${tag & 7}`);
    const length = varint();
    yield [tag >>> 3, message.subarray(at, at + length)];
    at += length;
  }
}

/** Splits a stream of gRPC into its messages. */
export class Messages {
  #rest: Buffer = Buffer.alloc(0);
  readonly #chunks: Buffer[] = [];
  #length = 0;

  take(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // Copied when it is whole, not with each piece of it.
    if (this.#rest.length >= 5 && this.#rest.length + this.#length < 5 + this.#rest.readUInt32BE(1)) return [];
    this.#rest = Buffer.concat([this.#rest, ...this.#chunks]);
    this.#chunks.length = 0;
    this.#length = 0;
    const found: Buffer[] = [];
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) break;
      found.push(this.#rest.subarray(5, end));
      this.#rest = this.#rest.subarray(end);
    }
    return found;
  }
}

function textField(number: number, text: string): Buffer {
  return field(number, Buffer.from(text, 'utf8'));
}

function field(number: number, value: Buffer): Buffer {
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
