import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, utcTime, utf8 } from './der.ts';

/** A certificate and its key, both PEM. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority of one cluster, made at its start and gone with it. */
export interface ClusterAuthority {
  readonly certificate: string;
  /** A serving certificate. `dnsNames` and `addresses` (IPv4) are added to `localhost`, 127.0.0.1 and ::1. */
  serving(dnsNames: readonly string[], addresses?: readonly string[]): Credential;
  /** A client certificate: Kubernetes reads the user from the common name and the groups from the organizations. */
  client(user: string, groups: readonly string[]): Credential;
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const serverAuth = oid('1.3.6.1.5.5.7.3.1');
const clientAuth = oid('1.3.6.1.5.5.7.3.2');
const lifetimeMs = 7 * 24 * 3_600_000;
const backdatedMs = 60_000;

type Name = readonly (readonly [attribute: string, value: string])[];

const commonName = '2.5.4.3';
const organization = '2.5.4.10';

function name(attributes: Name): Buffer {
  return sequence(...attributes.map(([type, value]) => set(sequence(oid(type), utf8(value)))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return critical ? sequence(oid(id), boolean(true), octets(value)) : sequence(oid(id), octets(value));
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** A P-256 key: its PKCS#8 PEM, and the DER of its public half. */
export function makeKey(): { readonly pem: string; readonly spki: Buffer; readonly publicPem: string } {
  // Encoded at once: exporting a KeyObject that generateKeyPairSync made would need a second call for each form.
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  return { pem: privateKey, spki: publicKey, publicPem: toPem('PUBLIC KEY', publicKey) };
}

function issue(of: {
  readonly subject: Name;
  readonly spki: Buffer;
  readonly issuer: Name;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
}): string {
  const now = Date.now();
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0); // positive, and never a leading zero octet
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(serial),
    ecdsaWithSha256,
    name(of.issuer),
    sequence(utcTime(new Date(now - backdatedMs)), utcTime(new Date(now + lifetimeMs))),
    name(of.subject),
    of.spki,
    explicit(3, sequence(...of.extensions)),
  );
  const signature = sign('sha256', toBeSigned, of.signer);
  return toPem('CERTIFICATE', sequence(toBeSigned, ecdsaWithSha256, bits(signature)));
}

/** Makes a certificate authority whose certificates live for a week: longer than any test cluster, shorter than a leak could hurt. */
export function makeClusterAuthority(title: string): ClusterAuthority {
  const key = makeKey();
  const signer = createPrivateKey(key.pem);
  const issuer: Name = [[commonName, title]];
  const certificate = issue({
    subject: issuer,
    spki: key.spki,
    issuer,
    signer,
    extensions: [
      extension('2.5.29.19', true, sequence(boolean(true))),
      extension('2.5.29.15', true, bits(Buffer.of(0b0000_0110), 1)), // keyCertSign, cRLSign
    ],
  });
  const leaf = (subject: Name, usage: Buffer, more: readonly Buffer[]): Credential => {
    const own = makeKey();
    const extensions = [
      extension('2.5.29.15', true, bits(Buffer.of(0b1000_0000), 7)), // digitalSignature
      extension('2.5.29.37', false, sequence(usage)),
      ...more,
    ];
    return { key: own.pem, certificate: issue({ subject, spki: own.spki, issuer, signer, extensions }) };
  };
  return {
    certificate,
    serving: (dnsNames, addresses = []) => {
      const names = ['localhost', ...dnsNames].map((dns) => implicit(2, Buffer.from(dns, 'ascii')));
      const ipv4 = ['127.0.0.1', ...addresses].map((address) => Buffer.from(address.split('.').map(Number)));
      const ips = [...ipv4, Buffer.from([...Buffer.alloc(15), 1])].map((ip) => implicit(7, ip));
      const alternatives = extension('2.5.29.17', false, sequence(...names, ...ips));
      return leaf([[commonName, dnsNames[0] ?? 'localhost']], serverAuth, [alternatives]);
    },
    client: (user, groups) => {
      const organizations = groups.map((group): [string, string] => [organization, group]);
      return leaf([...organizations, [commonName, user]], clientAuth, []);
    },
  };
}
