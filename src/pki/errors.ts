// Every way in which this folder refuses something. A reason is CamelCase, as in a condition's `reason`; the advice says what to do about it
// and is part of the message, because the message is all that a user sees in `kubectl describe`.

const catalogue = {
  // names
  InvalidDnsName: "write a DNS name of letters, digits and '-', such as web.shop.svc or *.shop.svc",
  DnsNameIsIpAddress: 'put addresses into ipAddresses',
  InvalidIpAddress: 'write an address such as 192.0.2.7 or 2001:db8::7',
  Ipv4MappedAddress: 'write the IPv4 address itself',
  InvalidUri: 'write an absolute URI in ASCII, such as https://example.com/path or urn:uuid:...',
  InvalidSpiffeId: 'write spiffe://<trust domain>/<path>, such as spiffe://cluster.local/ns/shop/sa/web',
  SpiffeIdNotAlone: 'an X.509-SVID has exactly one URI: keep the SPIFFE ID and remove the other URIs',
  InvalidEmailAddress: 'write an address such as team@example.com, in ASCII before the @',
  InvalidSubject: 'correct or remove this subject attribute',
  NoNames: 'add at least one of dnsNames, ipAddresses, uris, emailAddresses or commonName',
  TooManyNames: 'spread the names over several certificates',
  // what is asked for
  InvalidUsage: "choose from 'server auth', 'client auth', 'digital signature' and 'key encipherment'",
  UsageNeedsRsa: "remove 'key encipherment' or choose an RSA key",
  InvalidKeySpec: 'choose ECDSA 256 or 384, RSA 2048 to 4096 (a multiple of 8), or Ed25519 without a size',
  InvalidKeyEncoding: 'choose PKCS8, or PKCS1 for RSA, or SEC1 for ECDSA',
  InvalidValidity: 'choose a notBefore before notAfter, both in the years 1950 to 9999',
  InvalidSerialNumber: 'give 1 to 20 octets that make a positive number',
  InvalidPathLength: 'give a whole number from 0 to 20',
  // what is brought along
  InvalidPem: 'give unencrypted PEM, unchanged, from its BEGIN line to its END line',
  TooLarge: 'give less data; this is far more than any real use needs',
  TooManyCertificates: 'remove the certificates that are not needed',
  NoCertificate: 'give at least one block of -----BEGIN CERTIFICATE-----',
  InvalidCertificate: 'give an X.509 certificate in PEM or DER, as its issuer made it',
  InvalidDer: 'give strict DER (RFC 5280), as its issuer made it',
  InvalidPrivateKey: 'give one unencrypted private key in PKCS#8, PKCS#1 or SEC1',
  EncryptedPrivateKey: "decrypt it first, for example with 'openssl pkey -in key.pem'",
  UnsupportedKey: 'use ECDSA P-256 or P-384, RSA 2048 to 4096 or Ed25519',
  InvalidPassword: 'write 6 to 128 printable ASCII characters, without a line break at the end',
  // issuing
  KeyDoesNotMatchProfile: 'generate a key of the algorithm and size that the profile asks for',
  IssuerKeyMismatch: 'give the private key that belongs to the CA certificate',
  IssuerNotCa: 'give a CA certificate: basicConstraints CA:TRUE and keyUsage keyCertSign',
  IssuerExpiresFirst: 'ask for a shorter duration or renew the CA first',
  IssuerPathLength: 'use a CA whose path length constraint leaves room for another CA',
  IssuerUsageForbidden: 'ask only for usages that the CA may issue, or use another CA',
  IssuedUnsound: 'nothing of it was handed out; this is a defect of the operator or of its machine, please report it',
  NameNotPermitted: 'ask only for names within the name constraints of the CA, or use another CA',
} as const;

export type PkiReason = keyof typeof catalogue;

/** A refusal by this folder: `reason` for machines, `message` (what is wrong, where, and what to do) for people. Never holds key material. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
  readonly reason: PkiReason;
  /** What to do about it; also the end of `message`. */
  readonly advice: string;

  /**
   * @param problem what is wrong and where, without a full stop; text from outside belongs in `quote()`
   * @param advice replaces the catalogue's advice where the place of the refusal knows better
   */
  constructor(reason: PkiReason, problem: string, advice: string = catalogue[reason]) {
    super(`${problem}: ${advice}`);
    this.reason = reason;
    this.advice = advice;
  }
}

/** Text from outside, made safe to show: quoted, control and non-ASCII characters escaped, cut to a readable length. */
export function quote(text: string): string {
  const shown = text.length > 100 ? `${text.slice(0, 97)}...` : text;
  return JSON.stringify(shown).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
