// DER (X.690) in both directions. node-forge's asn1 builds and decodes values; this file keeps it on safe ground: forge reads BER leniently,
// recurses, and keeps no positions, so everything from outside passes `assertStrictDer` first and keeps its original bytes beside the
// decoded tree (signatures and comparisons are about bytes, never about a re-encoding).

import asn1, { type Asn1 as Node } from 'node-forge/lib/asn1.js';
import { PkiError } from './errors.ts';

/** Identifier octets: class, constructed bit and tag number in one, as they stand in the encoding. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific identifier octets: `[number]`, primitive or constructed. */
export const context = (number: number, constructed: boolean): number => 0x80 | (constructed ? 0x20 : 0) | number;

const MAX_BYTES = 64 * 1024;
const MAX_DEPTH = 24;
const MAX_VALUES = 8192;

// ---------------------------------------------------------------- writing

function create(identifier: number, value: string | Node[]): Node {
  const constructed = (identifier & 0x20) !== 0;
  return asn1.create(identifier & 0xc0, identifier & 0x1f, constructed, value);
}

/** A constructed value: SEQUENCE, SET or `[n]` by its identifier octet. */
export const constructed = (identifier: number, children: Node[]): Node => create(identifier, children);
/** A primitive value whose content is given as it shall stand in the encoding. */
export const primitive = (identifier: number, content: Buffer): Node => create(identifier, content.toString('latin1'));
export const sequence = (...children: Node[]): Node => create(tag.sequence, children);
export const objectIdentifier = (dotted: string): Node => create(tag.oid, oidContent(dotted));
export const boolean = (value: boolean): Node => create(tag.boolean, value ? '\xff' : '\x00');
export const smallInteger = (value: number): Node => create(tag.integer, asn1.integerToDer(value).getBytes());
export const octets = (content: Buffer): Node => primitive(tag.octetString, content);
export const nil = (): Node => create(tag.null, '');

/** What is written names a few dozen identifiers, each of them thousands of times. */
const oidContents = new Map<string, string>();

function oidContent(dotted: string): string {
  const known = oidContents.get(dotted);
  if (known !== undefined) return known;
  const content: string = asn1.oidToDer(dotted).getBytes();
  oidContents.set(dotted, content);
  return content;
}

/** The DER of a value built with the functions above. */
export const encode = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1');

/**
 * A value around parts that are DER already. forge would decode and re-encode them; issuing a certificate reuses the DER of subject, extensions
 * and issuer thousands of times, and this is what makes that cheap.
 */
export function wrap(identifier: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const lengthOctets = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3;
  const out = Buffer.allocUnsafe(2 + lengthOctets + length);
  out[0] = identifier;
  let at = 1;
  if (lengthOctets === 0) {
    out[at++] = length;
  } else {
    out[at++] = 0x80 | lengthOctets;
    for (let shift = (lengthOctets - 1) * 8; shift >= 0; shift -= 8) out[at++] = (length >>> shift) & 0xff;
  }
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

// ---------------------------------------------------------------- reading

/** A decoded value that keeps its original bytes. */
export class Element {
  /** The identifier octet, see `tag` and `context`. */
  readonly tag: number;
  /** The whole encoding, header included. */
  readonly der: Buffer;
  /** The content octets. */
  readonly content: Buffer;
  readonly #node: Node;

  constructor(node: Node, der: Buffer) {
    this.#node = node;
    this.der = der;
    this.tag = der[0] ?? 0;
    this.content = der.subarray(headerLength(der));
  }

  /** The values inside a constructed one; none for a primitive one. */
  children(): Element[] {
    const nodes = this.#node.value;
    if (typeof nodes === 'string') return [];
    const elements: Element[] = [];
    let rest = this.content;
    for (const node of nodes) {
      const length = headerLength(rest) + contentLength(rest);
      elements.push(new Element(node, rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    return elements;
  }

  /** The dotted text of an OBJECT IDENTIFIER; '#' and hexadecimal if it has numbers past 53 bits, as those made from UUIDs do. */
  oid(): string {
    const { content } = this;
    const isPadded = content.some((octet, i) => octet === 0x80 && ((content[i - 1] ?? 0) & 0x80) === 0);
    if (this.tag !== tag.oid || isPadded || ((content.at(-1) ?? 0x80) & 0x80) !== 0)
      throw malformed('not an object identifier');
    try {
      return asn1.derToOid(content.toString('latin1'));
    } catch {
      return `#${content.toString('hex')}`;
    }
  }
}

/**
 * Decodes exactly one DER value that fills `der`. For bytes from outside.
 * @throws PkiError InvalidDer or TooLarge, nothing else
 */
export function readDer(der: Buffer): Element {
  assertStrictDer(der);
  try {
    const options = { strict: true, decodeBitStrings: false, maxDepth: MAX_DEPTH + 1 };
    return new Element(asn1.fromDer(der.toString('latin1'), options), der);
  } catch {
    // forge's own text is written for programmers and may quote content.
    throw malformed('it cannot be decoded');
  }
}

export const malformed = (problem: string): PkiError => new PkiError('InvalidDer', `malformed DER, ${problem}`);

function headerLength(der: Buffer): number {
  const first = der[1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

/** The content length in a header that `assertStrictDer` has seen. */
function contentLength(der: Buffer): number {
  const first = der[1] ?? 0;
  return first < 0x80 ? first : der.readUIntBE(2, first & 0x7f);
}

/**
 * Refuses everything that is not one strict DER value of bounded size, depth and count: indefinite or padded lengths, long tags,
 * constructed strings, trailing bytes. Iterative, so that no nesting can exhaust the stack.
 */
export function assertStrictDer(der: Buffer): void {
  if (der.length > MAX_BYTES)
    throw new PkiError('TooLarge', `${der.length} bytes of DER, at most ${MAX_BYTES} are read`);
  const ends: number[] = [];
  let at = 0;
  let values = 0;
  do {
    if (++values > MAX_VALUES) throw new PkiError('TooLarge', `more than ${MAX_VALUES} values in one DER structure`);
    const end = ends.at(-1) ?? der.length;
    const identifier = der[at];
    if (identifier === undefined || at + 2 > end) throw malformed(`it ends early at byte ${at}`);
    const body = der.subarray(at, end);
    assertStrictHeader(body, at);
    const start = at + headerLength(body);
    const stop = start + contentLength(body);
    if (stop > end) throw malformed(`the value at byte ${at} is longer than what holds it`);
    if ((identifier & 0x20) !== 0 && stop > start) {
      if (ends.length + 1 >= MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH} levels`);
      ends.push(stop);
      at = start;
    } else {
      at = stop;
      while (ends.length > 0 && ends.at(-1) === at) ends.pop();
    }
  } while (ends.length > 0);
  if (at !== der.length) throw malformed(`${der.length - at} bytes follow its end`);
}

function assertStrictHeader(der: Buffer, at: number): void {
  const identifier = der[0] ?? 0;
  const first = der[1] ?? 0;
  const number = identifier & 0x1f;
  if (number === 0x1f) throw malformed(`a long tag at byte ${at}`);
  const universal = (identifier & 0xc0) === 0;
  const isConstructed = (identifier & 0x20) !== 0;
  if (universal && isConstructed !== (number === 0x10 || number === 0x11))
    throw malformed(`a value of the wrong form at byte ${at}`);
  if (first === 0x80) throw malformed(`an indefinite length at byte ${at}`);
  if (first > 0x80) {
    const octetsOfLength = first & 0x7f;
    if (octetsOfLength > 3 || der.length < 2 + octetsOfLength) throw malformed(`an impossible length at byte ${at}`);
    const length = der.readUIntBE(2, octetsOfLength);
    if (length < 0x80 || length < 2 ** (8 * (octetsOfLength - 1))) throw malformed(`a padded length at byte ${at}`);
  }
  // forge reads tag number 30 of every class as two-byte characters, and past the end when the length is odd.
  if (number === 0x1e && !isConstructed && (!universal || contentLength(der) % 2 !== 0))
    throw malformed(`an impossible BMPString at byte ${at}`);
}
