// Distinguished names (RFC 5280 §4.1.2.4): a Subject to DER for what is issued, and DER to RFC 4514 text for what is read.

import { constructed, type Element, encode, malformed, objectIdentifier, primitive, sequence, tag } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { oid } from './oids.ts';

/** The attributes of a subject. Lists keep their order; an absent or empty one adds nothing. */
export interface Subject {
  readonly commonName?: string | undefined;
  readonly organizations?: readonly string[] | undefined;
  readonly organizationalUnits?: readonly string[] | undefined;
  readonly countries?: readonly string[] | undefined;
  readonly localities?: readonly string[] | undefined;
  readonly provinces?: readonly string[] | undefined;
  readonly streetAddresses?: readonly string[] | undefined;
  readonly postalCodes?: readonly string[] | undefined;
  readonly serialNumber?: string | undefined;
}

interface Attribute {
  readonly field: keyof Subject;
  readonly oid: string;
  /** Upper bound in characters, RFC 5280 appendix A.1. No verifier checks them; some directories and databases cut or refuse. */
  readonly max: number;
  /** X.520 leaves these no other string type. */
  readonly printableOnly?: boolean;
}

// In this order in the name, from the general to the particular. Each value is an RDN of its own: programs that match on names (PostgreSQL, Kafka)
// stumble over RDNs with several attributes.
const attributes: readonly Attribute[] = [
  { field: 'countries', oid: oid.country, max: 2, printableOnly: true },
  { field: 'provinces', oid: oid.province, max: 128 },
  { field: 'localities', oid: oid.locality, max: 128 },
  { field: 'streetAddresses', oid: oid.street, max: 128 },
  { field: 'postalCodes', oid: oid.postalCode, max: 40 },
  { field: 'organizations', oid: oid.organization, max: 64 },
  { field: 'organizationalUnits', oid: oid.organizationalUnit, max: 64 },
  { field: 'commonName', oid: oid.commonName, max: 64 },
  { field: 'serialNumber', oid: oid.serialNumber, max: 64, printableOnly: true },
];

const PRINTABLE = /^[A-Za-z0-9 '()+,./:=?-]*$/;
const MAX_VALUES_PER_ATTRIBUTE = 20;

/**
 * The canonical form of a subject: duplicates within a list and empty lists gone.
 * @throws PkiError InvalidSubject
 */
export function parseSubject(subject: Subject): Subject {
  const canonical: { -readonly [Field in keyof Subject]: Subject[Field] } = {};
  for (const attribute of attributes) {
    const { field } = attribute;
    // Most subjects are empty.
    if (subject[field] === undefined) continue;
    if (field === 'commonName' || field === 'serialNumber') {
      canonical[field] = subject[field];
    } else {
      const values = [...new Set(subject[field])];
      if (values.length > 0) canonical[field] = values;
    }
    const values = valuesOf(canonical, field);
    if (values.length > MAX_VALUES_PER_ATTRIBUTE) {
      throw new PkiError(
        'InvalidSubject',
        `${field} has ${values.length} values`,
        `keep at most ${MAX_VALUES_PER_ATTRIBUTE}`,
      );
    }
    for (const value of values) assertAttributeValue(attribute, value);
  }
  return canonical;
}

const valuesOf = (subject: Subject, field: keyof Subject): readonly string[] => [subject[field] ?? []].flat();

function assertAttributeValue({ field, max, printableOnly }: Attribute, value: string): void {
  const refuse = (problem: string, advice?: string) =>
    new PkiError('InvalidSubject', `${field} ${quote(value)} ${problem}`, advice);
  if (value === '') throw refuse('is empty', 'remove it');
  const length = [...value].length;
  if (length > max) throw refuse(`has ${length} characters`, `at most ${max} are allowed there`);
  // Line breaks and NUL forge log lines and cut C strings; direction overrides make a name read as another.
  if (!value.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]/u.test(value)) {
    throw refuse('has a control character', 'remove it');
  }
  if (value.trim() !== value) throw refuse('begins or ends with a space', 'remove the space');
  if (field === 'countries' && !/^[A-Z]{2}$/.test(value))
    throw refuse('is not a country code', 'write two capital letters, such as DE');
  if (printableOnly && !PRINTABLE.test(value))
    throw refuse('has a character that is not allowed there', "use letters, digits, space and '()+,-./:=?");
}

/** The DER of a subject that `parseSubject` returned. */
export function encodeSubject(subject: Subject): Buffer {
  if (Object.keys(subject).length === 0) return EMPTY_NAME;
  const rdns = attributes.flatMap((attribute) =>
    valuesOf(subject, attribute.field).map((value) =>
      constructed(tag.set, [sequence(objectIdentifier(attribute.oid), directoryString(value))]),
    ),
  );
  return encode(sequence(...rdns));
}

const EMPTY_NAME = encode(sequence());

/** PrintableString for its own characters only ('*', '@', '_' and '&' are not among them), else UTF8String. */
const directoryString = (value: string) =>
  primitive(PRINTABLE.test(value) ? tag.printableString : tag.utf8String, Buffer.from(value, 'utf8'));

/** An empty SEQUENCE: no subject at all. */
export const isEmptyName = (der: Buffer): boolean => der.length === 2;

// ---------------------------------------------------------------- reading

export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

const shortNames: ReadonlyMap<string, string> = new Map([
  [oid.commonName, 'CN'],
  [oid.serialNumber, 'serialNumber'],
  [oid.country, 'C'],
  [oid.locality, 'L'],
  [oid.province, 'ST'],
  [oid.street, 'street'],
  [oid.organization, 'O'],
  [oid.organizationalUnit, 'OU'],
  [oid.postalCode, 'postalCode'],
  [oid.domainComponent, 'DC'],
  [oid.userId, 'UID'],
  [oid.emailAddress, 'emailAddress'],
]);

/** The RDNs of a Name in the order of the encoding, each with its attributes. @throws PkiError InvalidDer */
export function decodeName(name: Element): NameAttribute[][] {
  if (name.tag !== tag.sequence) throw malformed('a name is not a SEQUENCE');
  return name.children().map((rdn) => {
    const found = rdn.children().map((attribute) => {
      const [type, value, ...more] = attribute.children();
      if (attribute.tag !== tag.sequence || type === undefined || value === undefined || more.length > 0) {
        throw malformed('a name has an attribute without type and value');
      }
      return { type: type.oid(), value: decodeString(value) };
    });
    if (rdn.tag !== tag.set || found.length === 0) throw malformed('a name has an empty part');
    return found;
  });
}

/** Text of any ASN.1 string type; other values as `#` and hexadecimal. @throws PkiError InvalidDer */
export function decodeString(value: Element): string {
  const { content } = value;
  switch (value.tag) {
    case tag.printableString:
    case tag.ia5String:
    case tag.teletexString:
      return content.toString('latin1');
    case tag.utf8String: {
      const text = content.toString('utf8');
      if (!Buffer.from(text, 'utf8').equals(content)) throw malformed('a UTF8String is not UTF-8');
      return text;
    }
    case tag.bmpString:
      return Buffer.from(content).swap16().toString('utf16le').toWellFormed();
    default:
      return `#${value.der.toString('hex')}`;
  }
}

/** RFC 4514 text: the particular first, 'CN=web,O=Shop'. */
export const nameText = (rdns: readonly NameAttribute[][]): string =>
  rdns
    .map((rdn) => rdn.map(({ type, value }) => `${shortNames.get(type) ?? type}=${escapeValue(value)}`).join('+'))
    .reverse()
    .join(',');

const escapeValue = (value: string): string =>
  value
    .replace(/[\\",+<>;]/g, (c) => `\\${c}`)
    .replace(/^[ #]/, (c) => `\\${c}`)
    .replace(/(?<!\\) $/, '\\ ')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (c) =>
      [...Buffer.from(c, 'utf8')].map((b) => `\\${b.toString(16).padStart(2, '0').toUpperCase()}`).join(''),
    );
