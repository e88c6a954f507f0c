// The extensions of a certificate (RFC 5280 §4.2.1), written.

import {
  boolean,
  constructed,
  context,
  encode,
  objectIdentifier,
  octets,
  primitive,
  sequence,
  smallInteger,
  tag,
  wrap,
} from './der.ts';
import { ipToBytes } from './ip.ts';
import { oid } from './oids.ts';

/** Names as they stand in a subjectAltName: canonical, as the parse functions of names.ts return them. */
export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
}

/** Bits of KeyUsage in their order (RFC 5280 §4.2.1.3). */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export const generalName = { email: 1, dns: 2, directory: 4, uri: 6, ip: 7 } as const;

type DerNode = ReturnType<typeof octets>;

function extension(id: string, critical: boolean, value: DerNode): Buffer {
  const body = octets(encode(value));
  return encode(critical ? sequence(objectIdentifier(id), boolean(true), body) : sequence(objectIdentifier(id), body));
}

export const keyUsageExtension = (usages: readonly KeyUsage[]): Buffer =>
  extension(oid.keyUsage, true, primitive(tag.bitString, keyUsageBits(usages)));

/** A named bit list: trailing zero bits are not encoded (X.690 §11.2.2). */
function keyUsageBits(usages: readonly KeyUsage[]): Buffer {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  const highest = Math.max(...bits);
  const out = Buffer.alloc(2 + (highest >> 3));
  out[0] = 7 - (highest & 7);
  for (const bit of bits) {
    const at = 1 + (bit >> 3);
    out[at] = (out[at] ?? 0) | (0x80 >> (bit & 7));
  }
  return out;
}

export const extendedKeyUsageExtension = (purposes: readonly string[]): Buffer =>
  extension(oid.extendedKeyUsage, false, sequence(...purposes.map(objectIdentifier)));

/** Always critical. `cA` is encoded for a CA only: DER leaves default values out. */
export const basicConstraintsExtension = (isCa: boolean, pathLength?: number): Buffer =>
  extension(
    oid.basicConstraints,
    true,
    sequence(...(isCa ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [smallInteger(pathLength)])),
  );

export const subjectKeyIdentifierExtension = (keyId: Buffer): Buffer =>
  extension(oid.subjectKeyIdentifier, false, octets(keyId));

export const authorityKeyIdentifierExtension = (keyId: Buffer): Buffer =>
  extension(oid.authorityKeyIdentifier, false, sequence(primitive(context(0, false), keyId)));

/** @param critical RFC 5280 §4.2.1.6: critical exactly if the subject is empty; Go accepts otherwise, OpenSSL's strict mode does not. */
export function subjectAltNameExtension(names: AlternativeNames, critical: boolean): Buffer {
  // By `wrap`, not as nodes: this one is written anew for every look at a certificate.
  const text = (type: number) => (name: string) => wrap(context(type, false), Buffer.from(name, 'latin1'));
  const general = wrap(
    tag.sequence,
    ...names.dnsNames.map(text(generalName.dns)),
    ...names.ipAddresses.map((address) => wrap(context(generalName.ip, false), ipToBytes(address))),
    ...names.uris.map(text(generalName.uri)),
    ...names.emailAddresses.map(text(generalName.email)),
  );
  return wrap(tag.sequence, critical ? SAN_CRITICAL : SAN_ID, wrap(tag.octetString, general));
}

const SAN_ID = encode(objectIdentifier(oid.subjectAltName));
const SAN_CRITICAL = Buffer.concat([SAN_ID, encode(boolean(true))]);

/** What a CA is to be confined to. Subtrees as RFC 5280 §4.2.1.10 writes them: 'example.com', '10.0.0.0/8', '.example.com' for URIs and mail. */
export interface NameConstraintsRequest {
  readonly permitted?: SubtreesRequest;
  readonly excluded?: SubtreesRequest;
}
export interface SubtreesRequest {
  readonly dnsDomains?: readonly string[];
  readonly ipRanges?: readonly string[];
  readonly uriDomains?: readonly string[];
  readonly emailAddresses?: readonly string[];
}

export function nameConstraintsExtension(request: NameConstraintsRequest): Buffer {
  const part = (number: number, subtrees: SubtreesRequest | undefined) => {
    const bases = subtrees === undefined ? [] : encodeSubtrees(subtrees);
    return bases.length === 0 ? [] : [constructed(context(number, true), bases)];
  };
  return extension(oid.nameConstraints, true, sequence(...part(0, request.permitted), ...part(1, request.excluded)));
}

function encodeSubtrees(subtrees: SubtreesRequest): DerNode[] {
  const text = (type: number) => (base: string) =>
    sequence(primitive(context(type, false), Buffer.from(base, 'latin1')));
  return [
    ...(subtrees.dnsDomains ?? []).map(text(generalName.dns)),
    ...(subtrees.ipRanges ?? []).map((range) => sequence(primitive(context(generalName.ip, false), rangeBytes(range)))),
    ...(subtrees.uriDomains ?? []).map(text(generalName.uri)),
    ...(subtrees.emailAddresses ?? []).map(text(generalName.email)),
  ];
}

/** 'a.b.c.d/n' as address and mask octets. */
function rangeBytes(range: string): Buffer {
  const [address = '', prefix = ''] = range.split('/');
  const bytes = ipToBytes(address);
  const bits = Number(prefix);
  const mask = Buffer.from(bytes.map((_, i) => (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 0xff));
  return Buffer.concat([bytes.map((octet, i) => octet & (mask[i] ?? 0)), mask]);
}

/** `[3] EXPLICIT SEQUENCE OF Extension` around extensions that are DER already. */
export const extensionsField = (...extensions: readonly Buffer[]): Buffer =>
  wrap(context(3, true), wrap(tag.sequence, ...extensions));
