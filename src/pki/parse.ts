// X.509 certificates, read (RFC 5280 §4.1). Input is hostile: it comes from Secrets that anybody may have written.

import { createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import {
  type DecodedExtensions,
  decodeExtensions,
  decodeSmallInteger,
  type NameConstraints,
} from './decodeExtensions.ts';
import { context, type Element, malformed, readDer, tag } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { oid } from './oids.ts';
import { decodePem, encodePem } from './pem.ts';
import { profileDigest } from './profile.ts';
import { publicKeyText } from './publicKey.ts';
import { decodeName, nameText } from './subject.ts';
import { decodeTime } from './validity.ts';

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
  isSignedBy(key: KeyObject): boolean;
}

const MAX_CERTIFICATE_BYTES = 64 * 1024;
const MAX_PEM_BYTES = 1024 * 1024;

/**
 * One certificate, as DER or as a PEM text that holds just one.
 * @throws PkiError, nothing else
 */
export function parseCertificate(derOrPem: Buffer | string): ParsedCertificate {
  if (typeof derOrPem !== 'string' && derOrPem[0] === tag.sequence) return checked(derOrPem, 'the certificate');
  const [first, ...more] = parseCertificates(derOrPem, { max: 2 });
  if (first === undefined || more.length > 0) {
    throw new PkiError('TooManyCertificates', 'more than one certificate', 'give exactly one certificate');
  }
  return first;
}

/**
 * All certificates of a PEM text, in order, at least one.
 * @param options.max refuses more than so many (default 200)
 * @throws PkiError, nothing else
 */
export function parseCertificates(pem: string | Buffer, options: { readonly max?: number } = {}): ParsedCertificate[] {
  const blocks = decodePem(pem.toString('latin1'), 'the certificates', {
    maxBytes: MAX_PEM_BYTES,
    maxBlocks: options.max ?? 200,
  });
  if (blocks.length === 0) throw new PkiError('NoCertificate', 'no PEM block');
  return blocks.map(({ label, der }, i) => {
    if (label !== 'CERTIFICATE') {
      throw new PkiError(
        'InvalidPem',
        `block ${i + 1} of the certificates is ${quote(label)}`,
        'give CERTIFICATE blocks only',
      );
    }
    return checked(der, `certificate ${i + 1}`);
  });
}

/** A certificate whose every field has been decoded and that OpenSSL reads too, so that nothing throws later. */
function checked(der: Buffer, where: string): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new PkiError('TooLarge', `${where} has ${der.length} bytes`);
  const certificate = new Certificate(Buffer.from(der));
  try {
    certificate.assertReadable();
  } catch (error) {
    if (error instanceof PkiError)
      throw new PkiError('InvalidCertificate', `${where} is no valid certificate (${withoutAdvice(error)})`);
    throw new PkiError('InvalidCertificate', `${where} is no certificate that OpenSSL can read`);
  }
  return certificate;
}

const withoutAdvice = (error: PkiError): string => error.message.slice(0, -error.advice.length - 2);

interface Fields {
  readonly serial: Buffer;
  readonly subject: Element;
  readonly issuer: Element;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Element;
  readonly signatureAlgorithm: string;
  readonly extensions: DecodedExtensions;
}

const NONE: ReadonlySet<string> = new Set();

/** A certificate that decodes itself when it is first asked: one that was just issued is usually only written out. */
export class Certificate implements ParsedCertificate {
  readonly der: Buffer;
  #pem: string | undefined;
  #fields: Fields | undefined;
  #publicKey: KeyObject | undefined;
  #x509: X509Certificate | undefined;
  #selfSigned: boolean | undefined;
  #fingerprint: string | undefined;

  /** @param der trusted to be a certificate; what comes from outside goes through parseCertificate */
  constructor(der: Buffer) {
    this.der = der;
  }

  get pem(): string {
    this.#pem ??= encodePem('CERTIFICATE', this.der);
    return this.#pem;
  }

  get #decoded(): Fields {
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
    this.#publicKey ??= createPublicKey({ key: this.spki, format: 'der', type: 'spki' });
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
    this.#selfSigned ??= this.subjectDer.equals(this.issuerDer) && this.isSignedBy(this.publicKey);
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

  isSignedBy(key: KeyObject): boolean {
    try {
      return this.#openssl.verify(key);
    } catch {
      // A key of another kind than the signature.
      return false;
    }
  }

  /** Decodes everything that is decoded lazily otherwise. @throws PkiError, or what node:crypto throws */
  assertReadable(): void {
    decodeName(this.#decoded.subject);
    decodeName(this.#decoded.issuer);
    publicKeyText(this.#decoded.spki);
    void this.#openssl;
    void this.publicKey;
  }
}

/** @throws PkiError InvalidDer */
function decodeCertificate(der: Buffer): Fields {
  const [tbs, algorithm, signature, ...more] = readDer(der).children();
  if (
    tbs?.tag !== tag.sequence ||
    algorithm?.tag !== tag.sequence ||
    signature?.tag !== tag.bitString ||
    more.length > 0
  ) {
    throw malformed('not the three parts of a certificate');
  }
  const fields = tbs.children();
  const version = fields[0]?.tag === context(0, true) ? decodeVersion(fields.shift()) : 1;
  const [serial, innerAlgorithm, issuer, validity, subject, spki, ...rest] = fields;
  if (serial === undefined || issuer === undefined || subject === undefined || spki === undefined)
    throw malformed('fields are missing');
  // RFC 5280 §4.1.1.2: the unsigned copy of the algorithm must equal the signed one.
  if (innerAlgorithm === undefined || !innerAlgorithm.der.equals(algorithm.der))
    throw malformed('two different signature algorithms');
  const [notBefore, notAfter, ...moreTimes] = validity?.children() ?? [];
  if (notBefore === undefined || notAfter === undefined || moreTimes.length > 0)
    throw malformed('validity is not two times');
  return {
    serial: decodeSerial(serial),
    subject,
    issuer,
    notBefore: decodeTime(notBefore),
    notAfter: decodeTime(notAfter),
    spki,
    signatureAlgorithm: algorithm.children()[0]?.oid() ?? '',
    extensions: decodeExtensions(extensionsOf(rest, version)),
  };
}

function decodeVersion(field: Element | undefined): number {
  const [version, ...more] = field?.children() ?? [];
  const number = version === undefined || more.length > 0 ? 0 : decodeSmallInteger(version) + 1;
  if (number !== 2 && number !== 3) throw malformed('an impossible version');
  return number;
}

/** The SEQUENCE in `[3]`, after the unique identifiers that nobody uses. */
function extensionsOf(rest: readonly Element[], version: number): Element | undefined {
  const order = [context(1, false), context(2, false), context(3, true)];
  const places = rest.map((field) => order.indexOf(field.tag));
  if (places.some((place, i) => place < 0 || place <= (places[i - 1] ?? -1)))
    throw malformed('a strange field after the public key');
  const field = rest.find((candidate) => candidate.tag === context(3, true));
  if (field === undefined) return undefined;
  const [extensions, ...more] = field.children();
  if (version !== 3 || extensions === undefined || more.length > 0) throw malformed('strange extensions');
  return extensions;
}

/** The octets of the number. Zero occurs in old roots; negative ones are refused, as Go does. */
function decodeSerial({ tag: type, content }: Element): Buffer {
  const first = content[0];
  if (type !== tag.integer || first === undefined || content.length > 21 || (first & 0x80) !== 0)
    throw malformed('an impossible serial number');
  if (first !== 0 || content.length === 1) return content;
  if (((content[1] ?? 0) & 0x80) === 0) throw malformed('a padded serial number');
  return content.subarray(1);
}
