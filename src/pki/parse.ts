// X.509 certificates, read (RFC 5280 §4.1). Input is hostile: it comes from Secrets that anybody may have written.

import { createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import { type CertificateFields, decodeCertificate } from './decodeCertificate.ts';
import type { NameConstraints } from './decodeExtensions.ts';
import { tag } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { oid } from './oids.ts';
import { decodePem, encodePem } from './pem.ts';
import { profileDigest } from './profile.ts';
import { publicKeyText } from './publicKey.ts';
import { verifySignature } from './signature.ts';
import { signedParts } from './signedParts.ts';
import { decodeName, nameText } from './subject.ts';

export interface ParsedCertificate {
  readonly der: Buffer;
  readonly pem: string;
  /** Upper-case hexadecimal, an even number of digits, as `openssl x509 -serial` prints it. */
  readonly serialNumber: string;
  /** DER of the Names. */
  readonly subjectDer: Buffer;
  readonly issuerDer: Buffer;
  /** RFC 4514 text, such as 'CN=web,O=Shop'; '' if empty. */
  readonly subject: string;
  readonly issuer: string;
  /** The most specific common name of the subject. */
  readonly commonName?: string | undefined;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  /** @throws PkiError InvalidCertificate at first use if the key is none that OpenSSL knows or not a point of its curve */
  readonly publicKey: KeyObject;
  readonly isCa: boolean;
  readonly pathLength?: number | undefined;
  /** Names of RFC 5280, such as digitalSignature; empty if there is no such extension. */
  readonly keyUsage: ReadonlySet<string>;
  /** 'serverAuth', 'clientAuth', 'any' or dotted OIDs; empty if there is no such extension. */
  readonly extendedKeyUsage: ReadonlySet<string>;
  readonly subjectKeyId?: Buffer | undefined;
  readonly authorityKeyId?: Buffer | undefined;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly nameConstraints?: NameConstraints | undefined;
  /** OIDs of critical extensions that nobody here understands. */
  readonly unknownCritical: readonly string[];
  /** OID of the signature algorithm. */
  readonly signatureAlgorithm: string;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint: string;
  /** Whether it names itself as issuer and its own key verifies its signature. */
  readonly selfSigned: boolean;
  /** See LeafProfile.digest. */
  readonly profileDigest: string;
  /** Whether `key` made this certificate's signature, whatever its algorithm. Compares no names. */
  hasSignatureOf(key: KeyObject): boolean;
}

export interface ParseOptions {
  /**
   * Leaves OpenSSL out of the reading. An X509Certificate holds some ten kilobytes outside of V8's heap until the next full collection, of which V8 knows
   * nothing: judging 10,000 Secrets, this was half of the operator's memory. For certificates that are worth nothing without a signature
   * that is checked next.
   */
  readonly lightly?: boolean;
}

const MAX_PEM_CHARACTERS = 1024 * 1024;

/**
 * One certificate, as DER or as a PEM text that holds just one.
 * @throws PkiError, nothing else
 */
export function parseCertificate(derOrPem: Buffer | string, options: ParseOptions = {}): ParsedCertificate {
  // A certificate never has less than 128 bytes, and no text continues so after a '0'.
  if (typeof derOrPem !== 'string' && derOrPem[0] === tag.sequence && (derOrPem[1] ?? 0) > 0x80) {
    return checked(derOrPem, 'the certificate', options);
  }
  const [first, ...more] = parseCertificates(derOrPem, options);
  if (first === undefined || more.length > 0) {
    throw new PkiError('TooManyCertificates', `${more.length + 1} certificates`, 'give exactly one certificate');
  }
  return first;
}

/**
 * All certificates of a PEM text, in order, at least one.
 * @param options.max refuses more than so many (default 200)
 * @throws PkiError, nothing else
 */
export function parseCertificates(
  pem: string | Buffer,
  options: ParseOptions & { readonly max?: number } = {},
): ParsedCertificate[] {
  const { max = 200 } = options;
  const blocks = decodePem(pem.toString('latin1'), 'the certificates', MAX_PEM_CHARACTERS);
  if (blocks.length === 0) throw new PkiError('NoCertificate', 'no PEM block');
  if (blocks.length > max)
    throw new PkiError('TooManyCertificates', `${blocks.length} PEM blocks, at most ${max} are read`);
  return blocks.map(({ label, der }, i) => {
    if (label !== 'CERTIFICATE') {
      throw new PkiError(
        'InvalidPem',
        `block ${i + 1} of the certificates is ${quote(label)}`,
        'give CERTIFICATE blocks only',
      );
    }
    return checked(der, `certificate ${i + 1}`, options);
  });
}

/**
 * CA certificates that were read lately, by fingerprint: thousands of Secrets hold the same few, and reading and verifying one again costs more than
 * the leaf that it stands beside.
 */
const recentCas = new Map<string, Certificate>();
const MAX_RECENT_CAS = 64;

/** A certificate whose every field has been decoded and that OpenSSL reads too, so that nothing but its public key can disappoint later. */
function checked(der: Buffer, where: string, options: ParseOptions): Certificate {
  const known = recentCas.get(hash('sha256', der, 'hex'));
  if (known !== undefined) return known;
  const certificate = new Certificate(Buffer.from(der));
  try {
    certificate.assertReadable(options);
  } catch (error) {
    if (!(error instanceof PkiError)) {
      throw new PkiError('InvalidCertificate', `${where} is no certificate that OpenSSL can read`);
    }
    throw new PkiError('InvalidCertificate', `${where} is no valid certificate (${withoutAdvice(error)})`);
  }
  if (certificate.isCa && options.lightly !== true) {
    const [oldest] = recentCas.keys();
    if (oldest !== undefined && recentCas.size >= MAX_RECENT_CAS) recentCas.delete(oldest);
    recentCas.set(certificate.fingerprint, certificate);
  }
  return certificate;
}

const withoutAdvice = (error: PkiError): string => error.message.slice(0, -error.advice.length - 2);

const NONE: ReadonlySet<string> = new Set();

/** A certificate that decodes itself when it is first asked: one that was just issued is usually only written out. */
export class Certificate implements ParsedCertificate {
  readonly der: Buffer;
  #pem: string | undefined;
  #fields: CertificateFields | undefined;
  #publicKey: KeyObject | undefined;
  #x509: X509Certificate | undefined;
  #selfSigned: boolean | undefined;
  #signatures: WeakMap<KeyObject, boolean> | undefined;
  #fingerprint: string | undefined;

  /** @param der trusted to be a certificate; what comes from outside goes through parseCertificate */
  constructor(der: Buffer) {
    this.der = der;
  }

  get pem(): string {
    this.#pem ??= encodePem('CERTIFICATE', this.der);
    return this.#pem;
  }

  get #decoded(): CertificateFields {
    this.#fields ??= decodeCertificate(this.der);
    return this.#fields;
  }

  get #openssl(): X509Certificate {
    this.#x509 ??= new X509Certificate(this.der);
    return this.#x509;
  }

  get serialNumber(): string {
    return this.#decoded.serial.toString('hex').toUpperCase();
  }
  get subjectDer(): Buffer {
    return this.#decoded.subject.der;
  }
  get issuerDer(): Buffer {
    return this.#decoded.issuer.der;
  }
  get subject(): string {
    return nameText(decodeName(this.#decoded.subject));
  }
  get issuer(): string {
    return nameText(decodeName(this.#decoded.issuer));
  }
  get commonName(): string | undefined {
    return decodeName(this.#decoded.subject)
      .flat()
      .findLast((attribute) => attribute.type === oid.commonName)?.value;
  }
  get notBefore(): Date {
    return new Date(this.#decoded.notBefore);
  }
  get notAfter(): Date {
    return new Date(this.#decoded.notAfter);
  }
  get spki(): Buffer {
    return this.#decoded.spki.der;
  }
  get publicKey(): KeyObject {
    this.#publicKey ??= importPublicKey(this.spki);
    return this.#publicKey;
  }
  get isCa(): boolean {
    return this.#decoded.extensions.isCa;
  }
  get pathLength(): number | undefined {
    return this.#decoded.extensions.pathLength;
  }
  get keyUsage(): ReadonlySet<string> {
    return this.#decoded.extensions.keyUsage ?? NONE;
  }
  get extendedKeyUsage(): ReadonlySet<string> {
    return this.#decoded.extensions.extendedKeyUsage ?? NONE;
  }
  get subjectKeyId(): Buffer | undefined {
    return this.#decoded.extensions.subjectKeyId;
  }
  get authorityKeyId(): Buffer | undefined {
    return this.#decoded.extensions.authorityKeyId;
  }
  get dnsNames(): readonly string[] {
    return this.#decoded.extensions.dnsNames;
  }
  get ipAddresses(): readonly string[] {
    return this.#decoded.extensions.ipAddresses;
  }
  get uris(): readonly string[] {
    return this.#decoded.extensions.uris;
  }
  get emailAddresses(): readonly string[] {
    return this.#decoded.extensions.emailAddresses;
  }
  get nameConstraints(): NameConstraints | undefined {
    return this.#decoded.extensions.nameConstraints;
  }
  get unknownCritical(): readonly string[] {
    return this.#decoded.extensions.unknownCritical;
  }
  get signatureAlgorithm(): string {
    return this.#decoded.signatureAlgorithm;
  }
  get fingerprint(): string {
    this.#fingerprint ??= hash('sha256', this.der, 'hex');
    return this.#fingerprint;
  }
  get selfSigned(): boolean {
    this.#selfSigned ??= isSignedBy(this, this);
    return this.#selfSigned;
  }
  get profileDigest(): string {
    const { raw } = this.#decoded.extensions;
    const parts = {
      subjectDer: this.subjectDer,
      keyUsage: raw.get(oid.keyUsage),
      extendedKeyUsage: raw.get(oid.extendedKeyUsage),
      basicConstraints: raw.get(oid.basicConstraints),
      subjectAltName: raw.get(oid.subjectAltName),
    };
    return profileDigest(parts, publicKeyText(this.#decoded.spki));
  }

  hasSignatureOf(key: KeyObject): boolean {
    this.#signatures ??= new WeakMap();
    const known = this.#signatures.get(key);
    if (known !== undefined) return known;
    const verifies = this.#verify(key);
    this.#signatures.set(key, verifies);
    return verifies;
  }

  #verify(key: KeyObject): boolean {
    try {
      const parts = signedParts(this.der);
      // Not through X509Certificate, see ParseOptions.lightly.
      return (parts && verifySignature(this.signatureAlgorithm, parts, key)) ?? this.#openssl.verify(key);
    } catch {
      // A key of another kind than the signature.
      return false;
    }
  }

  /** Decodes everything that is decoded lazily otherwise. @throws PkiError, or what node:crypto throws */
  assertReadable({ lightly = false }: ParseOptions): void {
    decodeName(this.#decoded.subject);
    decodeName(this.#decoded.issuer);
    publicKeyText(this.#decoded.spki);
    if (!lightly) void this.#openssl;
  }
}

function importPublicKey(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    throw new PkiError('InvalidCertificate', 'the public key of the certificate is none that OpenSSL can read');
  }
}

/** Whether `ca` issued `certificate`: its name stands as issuer and its key made the signature. Nothing else is checked, see verifyChain. */
export function isSignedBy(certificate: ParsedCertificate, ca: ParsedCertificate): boolean {
  if (!certificate.issuerDer.equals(ca.subjectDer)) return false;
  try {
    return certificate.hasSignatureOf(ca.publicKey);
  } catch {
    // A public key that cannot be read has signed nothing.
    return false;
  }
}
