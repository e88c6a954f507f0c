// The structure of a certificate (RFC 5280 §4.1), read. Input is hostile.

import { type DecodedExtensions, decodeExtensions, decodeSmallInteger } from './decodeExtensions.ts';
import { context, type Element, malformed, readDer, tag } from './der.ts';
import { decodeTime } from './validity.ts';

export interface CertificateFields {
  readonly serial: Buffer;
  readonly subject: Element;
  readonly issuer: Element;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Element;
  readonly signatureAlgorithm: string;
  readonly extensions: DecodedExtensions;
}

/** @throws PkiError InvalidDer */
export function decodeCertificate(der: Buffer): CertificateFields {
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
