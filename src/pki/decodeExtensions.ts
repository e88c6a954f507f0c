// The extensions of a certificate (RFC 5280 §4.2.1), read. Input is hostile.

import { context, type Element, malformed, readDer, tag } from './der.ts';
import { generalName, KEY_USAGES } from './extensions.ts';
import { bytesToIp } from './ip.ts';
import { oid } from './oids.ts';
import { decodeName } from './subject.ts';

export interface DecodedExtensions {
  readonly isCa: boolean;
  readonly pathLength?: number;
  /** Names of RFC 5280, such as digitalSignature. Undefined if there is no such extension: then every use is allowed. */
  readonly keyUsage?: ReadonlySet<string>;
  /** 'serverAuth', 'clientAuth', 'any', or dotted OIDs. Undefined if there is no such extension: then every purpose is allowed. */
  readonly extendedKeyUsage?: ReadonlySet<string>;
  readonly subjectKeyId?: Buffer;
  readonly authorityKeyId?: Buffer;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly nameConstraints?: NameConstraints;
  /** OIDs of critical extensions that nobody here understands: a verifier must refuse such a certificate. */
  readonly unknownCritical: readonly string[];
  /** DER of each whole extension by OID. */
  readonly raw: ReadonlyMap<string, Buffer>;
}

/** Subtrees of RFC 5280 §4.2.1.10, by kind. Those of other kinds bind names that no certificate here has. */
export interface NameSubtrees {
  /** '' is every name. */
  readonly dnsNames: readonly string[];
  /** Address and mask, 8 or 32 octets. */
  readonly ipRanges: readonly Buffer[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  /** Names. */
  readonly directoryNames: readonly Element[];
}
export interface NameConstraints {
  readonly permitted: NameSubtrees;
  readonly excluded: NameSubtrees;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** @param extensions the SEQUENCE OF Extension, or undefined @throws PkiError InvalidDer */
export function decodeExtensions(extensions: Element | undefined): DecodedExtensions {
  const raw = new Map<string, Buffer>();
  const unknownCritical: string[] = [];
  const result: Mutable<DecodedExtensions> = { isCa: false, ...noNames, unknownCritical, raw };
  if (extensions === undefined) return result;
  if (extensions.tag !== tag.sequence) throw malformed('extensions are not a SEQUENCE');
  for (const extension of extensions.children()) {
    const { id, critical, value } = decodeExtension(extension);
    if (raw.has(id)) throw malformed(`extension ${id} occurs twice`);
    raw.set(id, extension.der);
    const decode = decoders.get(id);
    if (decode !== undefined) Object.assign(result, decode(readDer(value)));
    else if (critical && !harmless.has(id)) unknownCritical.push(id);
  }
  return result;
}

const noNames = { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] } as const;

/**
 * Policies only restrict chains that must have one. Nobody here asks for a policy; policyConstraints, which would demand one
 * that our certificates do not have, is left out and so counts as unknown.
 */
const harmless: ReadonlySet<string> = new Set([oid.certificatePolicies, oid.policyMappings, oid.inhibitAnyPolicy]);

function decodeExtension(extension: Element): { id: string; critical: boolean; value: Buffer } {
  const [id, ...rest] = extension.children();
  const critical = rest[0]?.tag === tag.boolean ? decodeBoolean(rest.shift()) : false;
  const [value, ...more] = rest;
  if (extension.tag !== tag.sequence || id === undefined || value?.tag !== tag.octetString || more.length > 0) {
    throw malformed('an extension lacks its OID or value');
  }
  return { id: id.oid(), critical, value: value.content };
}

function decodeBoolean(value: Element | undefined): boolean {
  if (
    value?.tag !== tag.boolean ||
    value.content.length !== 1 ||
    (value.content[0] !== 0 && value.content[0] !== 0xff)
  ) {
    throw malformed('expected a BOOLEAN');
  }
  return value.content[0] === 0xff;
}

/** A whole number from 0 to 2^31-1. */
export function decodeSmallInteger(value: Element): number {
  const { content } = value;
  if (value.tag !== tag.integer || content.length === 0 || content.length > 4)
    throw malformed('expected a small INTEGER');
  const number = content.readIntBE(0, content.length);
  const padded = content.length > 1 && content[0] === 0 && ((content[1] ?? 0) & 0x80) === 0;
  if (number < 0 || padded) throw malformed('expected a small INTEGER');
  return number;
}

type Decoder = (value: Element) => Partial<DecodedExtensions>;
const decoders: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  [oid.basicConstraints, decodeBasicConstraints],
  [oid.keyUsage, decodeKeyUsage],
  [oid.extendedKeyUsage, decodeExtendedKeyUsage],
  [oid.subjectKeyIdentifier, decodeSubjectKeyId],
  [oid.authorityKeyIdentifier, decodeAuthorityKeyId],
  [oid.subjectAltName, decodeSubjectAltName],
  [oid.nameConstraints, decodeNameConstraints],
]);

function decodeBasicConstraints(value: Element): Partial<DecodedExtensions> {
  const fields = sequenceOf(value, 'basicConstraints');
  const isCa = fields[0]?.tag === tag.boolean ? decodeBoolean(fields.shift()) : false;
  const [pathLength, ...more] = fields;
  if (more.length > 0 || (pathLength !== undefined && !isCa)) throw malformed('basicConstraints has a strange field');
  return pathLength === undefined ? { isCa } : { isCa, pathLength: decodeSmallInteger(pathLength) };
}

function decodeKeyUsage({ tag: type, content }: Element): Partial<DecodedExtensions> {
  const unused = content[0] ?? 8;
  if (type !== tag.bitString || unused > 7 || content.length > 3) throw malformed('keyUsage is not a BIT STRING');
  const bits = (content.length - 1) * 8 - unused;
  const set = KEY_USAGES.filter((_, bit) => bit < bits && ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  if (set.length === 0) throw malformed('keyUsage allows nothing');
  return { keyUsage: new Set(set) };
}

const purposeNames: ReadonlyMap<string, string> = new Map([
  [oid.serverAuth, 'serverAuth'],
  [oid.clientAuth, 'clientAuth'],
  [oid.anyExtendedKeyUsage, 'any'],
]);

function decodeExtendedKeyUsage(value: Element): Partial<DecodedExtensions> {
  const purposes = sequenceOf(value, 'extendedKeyUsage').map((purpose) => purpose.oid());
  if (purposes.length === 0) throw malformed('extendedKeyUsage allows nothing');
  return { extendedKeyUsage: new Set(purposes.map((purpose) => purposeNames.get(purpose) ?? purpose)) };
}

function decodeSubjectKeyId(value: Element): Partial<DecodedExtensions> {
  if (value.tag !== tag.octetString || value.content.length === 0)
    throw malformed('subjectKeyIdentifier is not an OCTET STRING');
  return { subjectKeyId: value.content };
}

function decodeAuthorityKeyId(value: Element): Partial<DecodedExtensions> {
  const keyId = sequenceOf(value, 'authorityKeyIdentifier').find((field) => field.tag === context(0, false));
  return keyId === undefined || keyId.content.length === 0 ? {} : { authorityKeyId: keyId.content };
}

function decodeSubjectAltName(value: Element): Partial<DecodedExtensions> {
  const names = sequenceOf(value, 'subjectAltName');
  if (names.length === 0) throw malformed('subjectAltName is empty');
  return {
    dnsNames: textsOf(names, generalName.dns),
    ipAddresses: names.filter((name) => name.tag === context(generalName.ip, false)).map(decodeIp),
    uris: textsOf(names, generalName.uri),
    emailAddresses: textsOf(names, generalName.email),
  };
}

const textsOf = (names: readonly Element[], type: number): string[] =>
  names.filter((name) => name.tag === context(type, false)).map(decodeIa5);

/** Printable ASCII. A NUL or a line break in a name is how one name is made to look like another. */
function decodeIa5({ content }: Element): string {
  const text = content.toString('latin1');
  if (!/^[ -~]*$/.test(text)) throw malformed('a name has a character outside of printable ASCII');
  return text;
}

function decodeIp({ content }: Element): string {
  if (content.length !== 4 && content.length !== 16) throw malformed(`an IP address of ${content.length} octets`);
  return bytesToIp(content);
}

function decodeNameConstraints(value: Element): Partial<DecodedExtensions> {
  const fields = sequenceOf(value, 'nameConstraints');
  const subtrees = (number: number) => fields.filter((field) => field.tag === context(number, true));
  const [permitted, excluded] = [subtrees(0), subtrees(1)];
  const known = permitted.length + excluded.length;
  if (known === 0 || known !== fields.length || permitted.length > 1 || excluded.length > 1) {
    throw malformed('nameConstraints has strange fields');
  }
  return { nameConstraints: { permitted: decodeSubtrees(permitted[0]), excluded: decodeSubtrees(excluded[0]) } };
}

function decodeSubtrees(subtrees: Element | undefined): NameSubtrees {
  const bases = (subtrees?.children() ?? []).map((subtree) => {
    const [base, ...limits] = sequenceOf(subtree, 'a subtree');
    // minimum and maximum are left at their defaults by everybody, as RFC 5280 demands.
    if (base === undefined || limits.length > 0) throw malformed('a subtree of name constraints is not one name');
    return base;
  });
  const ofKind = (kind: number, isConstructed: boolean) =>
    bases.filter((base) => base.tag === context(kind, isConstructed));
  const ipRanges = ofKind(generalName.ip, false).map((base) => base.content);
  if (ipRanges.some((range) => range.length !== 8 && range.length !== 32))
    throw malformed('an IP range of a strange length');
  const directoryNames = ofKind(generalName.directory, true).flatMap((base) => base.children());
  for (const name of directoryNames) decodeName(name);
  return {
    dnsNames: textsOf(bases, generalName.dns),
    ipRanges,
    uris: textsOf(bases, generalName.uri),
    emailAddresses: textsOf(bases, generalName.email),
    directoryNames,
  };
}

function sequenceOf(value: Element, what: string): Element[] {
  if (value.tag !== tag.sequence) throw malformed(`${what} is not a SEQUENCE`);
  return value.children();
}
