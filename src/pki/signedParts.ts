// What a certificate's signature is about, as slices of its DER.

import { tag } from './der.ts';

export interface SignedParts {
  /** The DER that was signed, its header included. */
  readonly tbs: Buffer;
  readonly signature: Buffer;
}

/**
 * Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE, signatureValue BIT STRING }, RFC 5280 §4.1. Undefined where
 * the bytes are nothing like that; nothing is looked into.
 */
export function signedParts(der: Buffer): SignedParts | undefined {
  const outer = contentAt(der, 0, tag.sequence);
  const tbs = outer && contentAt(der, outer.start, tag.sequence);
  const algorithm = tbs && contentAt(der, tbs.end, tag.sequence);
  const bits = algorithm && contentAt(der, algorithm.end, tag.bitString);
  // The first octet of a BIT STRING counts its unused bits; a signature has none.
  if (bits?.end !== der.length || outer?.end !== der.length || der[bits.start] !== 0) return undefined;
  return { tbs: der.subarray(outer.start, tbs?.end), signature: der.subarray(bits.start + 1, bits.end) };
}

function contentAt(der: Buffer, at: number, identifier: number): { start: number; end: number } | undefined {
  if (der[at] !== identifier) return undefined;
  const first = der[at + 1] ?? 0;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + octets;
  if (octets > 3 || start > der.length) return undefined;
  const end = start + (octets === 0 ? first : der.readUIntBE(at + 2, octets));
  return end > der.length ? undefined : { start, end };
}
