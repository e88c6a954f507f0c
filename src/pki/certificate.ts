// Issuing: a leaf for a profile and a key, and CA certificates. Everything that a verifier would refuse later is refused here, before signing.

import { hash, type KeyObject, randomBytes } from 'node:crypto';
import { type ConstrainedNames, checkNameConstraints } from './constraints.ts';
import { constructed, context, encode, smallInteger, tag, wrap } from './der.ts';
import { PkiError } from './errors.ts';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  extensionsField,
  keyUsageExtension,
  type NameConstraintsRequest,
  nameConstraintsExtension,
  subjectKeyIdentifierExtension,
} from './extensions.ts';
import type { KeyPair } from './keyPair.ts';
import { keySpecText, sameKeySpec } from './keySpec.ts';
import { keyMatches } from './keys.ts';
import { Certificate, type ParsedCertificate } from './parse.ts';
import type { LeafProfile } from './profile.ts';
import { type SignatureScheme, signatureScheme, signDer } from './signature.ts';
import { encodeSubject, isEmptyName, parseSubject, type Subject } from './subject.ts';
import { encodeValidity } from './validity.ts';

/** What signs. Use one object for as long as the CA does not change: what follows from it is computed once per object. */
export interface IssuingCa {
  readonly certificate: ParsedCertificate;
  readonly privateKey: KeyObject;
  /** The issuing certificate first, then upwards. Self-signed ones are for checking only; they are left out of `chainPem`. */
  readonly chain: readonly ParsedCertificate[];
}

export interface LeafOrder {
  readonly profile: LeafProfile;
  readonly key: KeyPair;
  readonly issuer: IssuingCa;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** 1 to 20 octets, big-endian; random if absent. */
  readonly serial?: Buffer;
}

export interface CaOrder {
  readonly subject: Subject;
  readonly key: KeyPair;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** How many CAs may follow below; unlimited if absent. */
  readonly pathLength?: number;
  readonly nameConstraints?: NameConstraintsRequest;
  /** Self-signed if absent. */
  readonly issuer?: IssuingCa;
  readonly serial?: Buffer;
}

const VERSION_3 = encode(constructed(context(0, true), [smallInteger(2)]));

/**
 * A leaf certificate (RFC 5280 v3), signed at once. Takes tens of microseconds with an ECDSA P-256 CA.
 * @throws PkiError if the key is not what the profile asks for, or the CA must not or cannot issue this
 */
export function issueLeaf(order: LeafOrder): ParsedCertificate {
  const { profile, key, issuer, notBefore, notAfter } = order;
  if (!sameKeySpec(key.spec, profile.request.key)) {
    throw new PkiError(
      'KeyDoesNotMatchProfile',
      `the key is ${keySpecText(key.spec)}, the profile asks for ${keySpecText(profile.request.key)}`,
    );
  }
  const signer = signerFor(issuer);
  assertWithinCa(signer, notAfter);
  assertUsagesAllowed(profile, signer);
  if (signer.hasNameConstraints) assertNamesPermitted({ ...profile.request, subjectDer: profile.subjectDer }, issuer);
  return signCertificate({
    signer,
    serial: order.serial ?? randomSerial(),
    validity: encodeValidity(notBefore, notAfter),
    subjectDer: profile.subjectDer,
    spki: key.spki,
    extensions: extensionsField(profile.extensionsDer, skiTemplate(keyIdentifier(key.spki)), signer.authorityKeyId),
  });
}

/**
 * A CA certificate, self-signed or issued by another CA: basicConstraints and keyUsage (keyCertSign, cRLSign) critical.
 * @throws PkiError as issueLeaf; InvalidSubject if the subject is empty
 */
export function issueCa(order: CaOrder): ParsedCertificate {
  const { key, issuer, notBefore, notAfter, pathLength, nameConstraints } = order;
  const subjectDer = encodeSubject(parseSubject(order.subject));
  if (isEmptyName(subjectDer))
    throw new PkiError('InvalidSubject', 'a CA needs a subject', 'give it at least a commonName');
  if (pathLength !== undefined && !(Number.isInteger(pathLength) && pathLength >= 0 && pathLength <= 20)) {
    throw new PkiError('InvalidPathLength', `${pathLength} is not a path length`);
  }
  const keyId = keyIdentifier(key.spki);
  const signer = issuer === undefined ? selfSigner(key, subjectDer) : signerFor(issuer);
  if (issuer !== undefined) {
    assertWithinCa(signer, notAfter);
    assertRoomBelow(issuer, pathLength);
    if (signer.hasNameConstraints) assertNamesPermitted({ ...noNames, subjectDer }, issuer);
  }
  return signCertificate({
    signer,
    serial: order.serial ?? randomSerial(),
    validity: encodeValidity(notBefore, notAfter),
    subjectDer,
    spki: key.spki,
    extensions: extensionsField(
      keyUsageExtension(['keyCertSign', 'cRLSign']),
      basicConstraintsExtension(true, pathLength),
      subjectKeyIdentifierExtension(keyId),
      signer.authorityKeyId,
      ...(nameConstraints === undefined ? [] : [nameConstraintsExtension(nameConstraints)]),
    ),
  });
}

/** Leaf and intermediates as one PEM text. Self-signed certificates stay out: whoever verifies must have them from elsewhere. */
export const chainPem = (leaf: ParsedCertificate, issuer: IssuingCa): string =>
  [leaf, ...issuer.chain.filter((ca) => !ca.selfSigned)].map((certificate) => certificate.pem).join('');

// ---------------------------------------------------------------- signing

interface Parts {
  readonly signer: Signer;
  readonly serial: Buffer;
  readonly validity: Buffer;
  readonly subjectDer: Buffer;
  readonly spki: Buffer;
  readonly extensions: Buffer;
}

const NO_UNUSED_BITS = Buffer.of(0);

function signCertificate(parts: Parts): Certificate {
  const { signer } = parts;
  const algorithm = signer.scheme.algorithmDer;
  const tbs = wrap(
    tag.sequence,
    VERSION_3,
    encodeSerial(parts.serial),
    algorithm,
    signer.subjectDer,
    parts.validity,
    parts.subjectDer,
    parts.spki,
    parts.extensions,
  );
  const signature = signDer(signer.scheme, tbs, signer.privateKey);
  return new Certificate(wrap(tag.sequence, tbs, algorithm, wrap(tag.bitString, NO_UNUSED_BITS, signature)));
}

function encodeSerial(serial: Buffer): Buffer {
  const first = serial.findIndex((octet) => octet !== 0);
  if (first < 0 || serial.length - first > 20)
    throw new PkiError('InvalidSerialNumber', `a serial number of ${serial.length} octets`);
  const digits = serial.subarray(first);
  return (digits[0] ?? 0) & 0x80 ? wrap(tag.integer, NO_UNUSED_BITS, digits) : wrap(tag.integer, digits);
}

let serialPool = Buffer.alloc(0);
let serialPoolAt = 0;

/** 16 random octets; the first is between 0x40 and 0x7f, so that every serial number is positive and equally long. */
export function randomSerial(): Buffer {
  // One call of randomBytes costs as much as a hundred serial numbers. No octets are used twice.
  if (serialPoolAt === serialPool.length) {
    serialPool = randomBytes(256 * 16);
    serialPoolAt = 0;
  }
  const serial = serialPool.subarray(serialPoolAt, serialPoolAt + 16);
  serialPoolAt += 16;
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** As `openssl x509 -serial` prints it: upper-case hexadecimal. @param serial as randomSerial makes it, without leading zeros */
export const serialText = (serial: Buffer): string => serial.toString('hex').toUpperCase();

/** RFC 7093 method 1: the first 160 bits of the SHA-256 of the public key's bits. */
function keyIdentifier(spki: Buffer): Buffer {
  return hash('sha256', spki.subarray(publicKeyOffset(spki)), 'buffer').subarray(0, 20);
}

/** Where the bits of the BIT STRING begin in a SubjectPublicKeyInfo that a KeyPair holds. */
function publicKeyOffset(spki: Buffer): number {
  const skipHeader = (at: number) => at + 2 + ((spki[at + 1] ?? 0) < 0x80 ? 0 : (spki[at + 1] ?? 0) & 0x7f);
  const algorithm = skipHeader(0);
  // The AlgorithmIdentifier is always shorter than 128 bytes.
  const bitString = algorithm + 2 + (spki[algorithm + 1] ?? 0);
  return skipHeader(bitString) + 1;
}

const SKI_PREFIX = subjectKeyIdentifierExtension(Buffer.alloc(20)).subarray(0, -20);
const skiTemplate = (keyId: Buffer): Buffer => Buffer.concat([SKI_PREFIX, keyId]);

// ---------------------------------------------------------------- the issuer

interface Signer {
  readonly privateKey: KeyObject;
  readonly scheme: SignatureScheme;
  readonly subjectDer: Buffer;
  /** DER of the extension for what is issued. */
  readonly authorityKeyId: Buffer;
  /** The certificate of the chain that expires first; nothing issued may outlive it. */
  readonly expiresFirst: ParsedCertificate | undefined;
  readonly hasNameConstraints: boolean;
  /** What the extendedKeyUsage of all CAs in the chain leaves; undefined: everything. */
  readonly purposes: ReadonlySet<string> | undefined;
}

const signers = new WeakMap<IssuingCa, Signer>();

/** What follows from an issuer alone, checked and computed once for each object. */
function signerFor(issuer: IssuingCa): Signer {
  const known = signers.get(issuer);
  if (known !== undefined) return known;
  const { certificate, privateKey } = issuer;
  if (!certificate.isCa || (certificate.keyUsage.size > 0 && !certificate.keyUsage.has('keyCertSign'))) {
    throw new PkiError('IssuerNotCa', `${certificate.subject} may not sign certificates`);
  }
  if (!keyMatches(privateKey, certificate))
    throw new PkiError('IssuerKeyMismatch', `the private key is not the one of ${certificate.subject}`);
  const cas = casOf(issuer);
  const signer: Signer = {
    privateKey,
    scheme: signatureScheme(privateKey),
    subjectDer: certificate.subjectDer,
    // Copied, not computed: the CA's maker may have used another method, and verifiers compare bytes.
    authorityKeyId: authorityKeyIdentifierExtension(certificate.subjectKeyId ?? keyIdentifier(certificate.spki)),
    expiresFirst: cas.toSorted((a, b) => a.notAfter.getTime() - b.notAfter.getTime())[0],
    hasNameConstraints: cas.some((ca) => ca.nameConstraints !== undefined),
    purposes: allowedPurposes(cas),
  };
  signers.set(issuer, signer);
  return signer;
}

const casOf = ({ certificate, chain }: IssuingCa): ParsedCertificate[] => [...new Set([certificate, ...chain])];

function selfSigner(key: KeyPair, subjectDer: Buffer): Signer {
  const { privateKey } = key;
  return {
    privateKey,
    scheme: signatureScheme(privateKey),
    subjectDer,
    authorityKeyId: authorityKeyIdentifierExtension(keyIdentifier(key.spki)),
    expiresFirst: undefined,
    hasNameConstraints: false,
    purposes: undefined,
  };
}

function allowedPurposes(cas: readonly ParsedCertificate[]): ReadonlySet<string> | undefined {
  const restricting = cas
    .map((ca) => ca.extendedKeyUsage)
    .filter((purposes) => purposes.size > 0 && !purposes.has('any'));
  if (restricting.length === 0) return undefined;
  const all = new Set(restricting.flatMap((purposes) => [...purposes]));
  return new Set([...all].filter((purpose) => restricting.every((purposes) => purposes.has(purpose))));
}

function assertWithinCa({ expiresFirst: ca }: Signer, notAfter: Date): void {
  if (ca === undefined || notAfter <= ca.notAfter) return;
  throw new PkiError(
    'IssuerExpiresFirst',
    `the certificate would last until ${notAfter.toISOString()}, the CA ${ca.subject} until ${ca.notAfter.toISOString()}`,
  );
}

/** Every CA of the chain counts those below it, not only the issuing one. */
function assertRoomBelow(issuer: IssuingCa, pathLength: number | undefined): void {
  for (const [below, ca] of casOf(issuer).entries()) {
    const room = ca.pathLength === undefined ? Number.POSITIVE_INFINITY : ca.pathLength - below - 1;
    if (room < (pathLength ?? 0)) {
      throw new PkiError('IssuerPathLength', `${ca.subject} has the path length constraint ${ca.pathLength}`);
    }
  }
}

const purposeOfUsage = { 'server auth': 'serverAuth', 'client auth': 'clientAuth' } as const;

function assertUsagesAllowed(profile: LeafProfile, { purposes }: Signer): void {
  if (purposes === undefined) return;
  for (const usage of profile.request.usages) {
    if ((usage === 'server auth' || usage === 'client auth') && !purposes.has(purposeOfUsage[usage])) {
      throw new PkiError('IssuerUsageForbidden', `the CA's extended key usage does not allow '${usage}'`);
    }
  }
}

const noNames = { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] };

function assertNamesPermitted(names: ConstrainedNames, issuer: IssuingCa): void {
  const violations = checkNameConstraints(names, casOf(issuer));
  if (violations.length === 0) return;
  throw new PkiError('NameNotPermitted', violations.map((violation) => violation.message).join('; '));
}
