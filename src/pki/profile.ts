// What a certificate says apart from key, time and serial number, settled once: names in canonical form, and their DER ready to be signed
// thousands of times. The digest tells whether a certificate at hand is what its specification asks for now.

import { hash } from 'node:crypto';
import { PkiError, quote } from './errors.ts';
import {
  type AlternativeNames,
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  type KeyUsage,
  keyUsageExtension,
  subjectAltNameExtension,
} from './extensions.ts';
import { parseIpAddress } from './ip.ts';
import { type KeySpec, keySpecText, type ResolvedKeySpec, resolveKeySpec } from './keySpec.ts';
import { parseDnsName, parseEmailAddress, parseUri } from './names.ts';
import { oid } from './oids.ts';
import { encodeSubject, isEmptyName, parseSubject, type Subject } from './subject.ts';

export type Usage = 'server auth' | 'client auth' | 'digital signature' | 'key encipherment';

/** What is asked for. Every string may come from outside. */
export interface LeafRequest extends AlternativeNames {
  readonly subject: Subject;
  readonly usages: readonly Usage[];
  readonly key: KeySpec;
}

export interface LeafProfile {
  /** Canonical and without duplicates. */
  readonly request: LeafRequest & { readonly key: ResolvedKeySpec };
  /** Equals `profileDigest` of every certificate that is issued from this profile. */
  readonly digest: string;
  /** DER of the subject's Name. */
  readonly subjectDer: Buffer;
  /** DER of keyUsage, extendedKeyUsage (if any), basicConstraints and subjectAltName (if any), one after the other. */
  readonly extensionsDer: Buffer;
}

const MAX_NAME_BYTES = 16 * 1024;

/**
 * Settles a request. keyUsage: digitalSignature always (TLS 1.3 needs nothing else), keyEncipherment when it is asked for, or for RSA when no key usage is named.
 * extendedKeyUsage: serverAuth and clientAuth as asked for; with neither there is no such extension, which verifiers take as any purpose.
 * @throws PkiError for whatever cannot be asked for, see names.ts and subject.ts
 */
export function buildLeafProfile(request: LeafRequest): LeafProfile {
  const key = resolveKeySpec(request.key);
  const subject = parseSubject(request.subject);
  const dnsNames = unique(request.dnsNames, parseDnsName);
  const ipAddresses = unique(request.ipAddresses, parseIpAddress);
  const uris = unique(request.uris, parseUri);
  const emailAddresses = unique(request.emailAddresses, parseEmailAddress);
  const usages = parseUsages(request.usages, key);
  const canonical = { subject, dnsNames, ipAddresses, uris, emailAddresses, usages, key };
  assertNames(canonical);

  const subjectDer = encodeSubject(subject);
  const parts: ProfileParts = {
    subjectDer,
    ...usageParts(usages, key),
    subjectAltName: hasAlternativeNames(canonical)
      ? subjectAltNameExtension(canonical, isEmptyName(subjectDer))
      : undefined,
  };
  return {
    request: canonical,
    digest: profileDigest(parts, keySpecText(key)),
    subjectDer,
    extensionsDer: concatPresent([
      parts.keyUsage,
      parts.extendedKeyUsage,
      parts.basicConstraints,
      parts.subjectAltName,
    ]),
  };
}

type UsageParts = Pick<ProfileParts, 'keyUsage' | 'extendedKeyUsage' | 'basicConstraints'>;

/** By key algorithm and usages, of which there are some dozen combinations. */
const knownUsageParts = new Map<string, UsageParts>();

function usageParts(usages: readonly Usage[], key: ResolvedKeySpec): UsageParts {
  const id = `${key.algorithm} ${usages.join()}`;
  const known = knownUsageParts.get(id);
  if (known !== undefined) return known;
  const purposes = usages.flatMap((usage) => purposeOids[usage] ?? []);
  const parts = {
    keyUsage: keyUsageExtension(keyUsages(usages, key)),
    extendedKeyUsage: purposes.length === 0 ? undefined : extendedKeyUsageExtension(purposes),
    basicConstraints: basicConstraintsExtension(false),
  };
  knownUsageParts.set(id, parts);
  return parts;
}

const concatPresent = (parts: readonly (Buffer | undefined)[]): Buffer =>
  Buffer.concat(parts.filter((part) => part !== undefined));

const purposeOids: Partial<Record<Usage, string>> = { 'server auth': oid.serverAuth, 'client auth': oid.clientAuth };
const knownUsages: readonly Usage[] = ['server auth', 'client auth', 'digital signature', 'key encipherment'];

/** In a fixed order, so that the order in which usages are listed changes nothing. */
function parseUsages(usages: readonly Usage[], key: ResolvedKeySpec): Usage[] {
  for (const usage of usages) {
    if (!knownUsages.includes(usage)) throw new PkiError('InvalidUsage', `${quote(String(usage))} is not a usage`);
  }
  if (usages.includes('key encipherment') && key.algorithm !== 'RSA') {
    // RFC 8813 and RFC 8410: certificates for these keys must not say keyEncipherment.
    throw new PkiError('UsageNeedsRsa', `'key encipherment' means nothing for an ${key.algorithm} key`);
  }
  return knownUsages.filter((usage) => usages.includes(usage));
}

function keyUsages(usages: readonly Usage[], key: ResolvedKeySpec): KeyUsage[] {
  const named = usages.includes('digital signature') || usages.includes('key encipherment');
  const encipherment = usages.includes('key encipherment') || (key.algorithm === 'RSA' && !named);
  return encipherment ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'];
}

const unique = (names: readonly string[], parse: (name: string) => string): string[] => [...new Set(names.map(parse))];

const hasAlternativeNames = (names: AlternativeNames): boolean =>
  names.dnsNames.length + names.ipAddresses.length + names.uris.length + names.emailAddresses.length > 0;

function assertNames(request: LeafRequest): void {
  if (!hasAlternativeNames(request) && request.subject.commonName === undefined) {
    throw new PkiError('NoNames', 'the certificate would name nobody');
  }
  const spiffe = request.uris.find((uri) => uri.startsWith('spiffe://'));
  if (spiffe !== undefined && request.uris.length > 1) {
    throw new PkiError(
      'SpiffeIdNotAlone',
      `the SPIFFE ID ${quote(spiffe)} stands beside ${request.uris.length - 1} other URIs`,
    );
  }
  const names = [...request.dnsNames, ...request.ipAddresses, ...request.uris, ...request.emailAddresses];
  const bytes = names.reduce((sum, name) => sum + name.length, 0);
  // Go refuses handshakes past 64 KiB and OpenSSL past 100 KB, chain included.
  if (bytes > MAX_NAME_BYTES) {
    throw new PkiError(
      'TooManyNames',
      `${names.length} names have ${bytes} bytes, at most ${MAX_NAME_BYTES} fit a TLS handshake safely`,
    );
  }
}

/** The parts of a certificate that a profile decides, each as the DER of a whole Name or Extension. */
export interface ProfileParts {
  readonly subjectDer: Buffer;
  readonly keyUsage: Buffer | undefined;
  readonly extendedKeyUsage: Buffer | undefined;
  readonly basicConstraints: Buffer | undefined;
  readonly subjectAltName: Buffer | undefined;
}

/**
 * A short digest over what a profile decides. The parts are self-delimiting and each extension begins with its own OID, so that absent ones and
 * shifted borders cannot make two different profiles alike.
 */
export function profileDigest(parts: ProfileParts, key: string): string {
  const { subjectDer, keyUsage, extendedKeyUsage, basicConstraints, subjectAltName } = parts;
  const digested = [subjectDer, keyUsage, extendedKeyUsage, basicConstraints, subjectAltName, Buffer.from(key)];
  return hash('sha256', concatPresent(digested), 'buffer').toString('base64url').slice(0, 22);
}
