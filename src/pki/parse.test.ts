import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { context, encode, objectIdentifier, octets, tag, wrap } from './der.ts';
import { Certificate, isSignedBy, parseCertificate, parseCertificates } from './parse.ts';
import { encodePem } from './pem.ts';
import { day, refusal, refusalReason, testCa, testLeaf } from './testing.ts';

describe('a certificate', () => {
  test('is read field by field, as Node reads it where Node does', async () => {
    const ca = await testCa({ subject: { commonName: 'CA, the "first"', organizations: ['Shop'] } });
    const leaf = parseCertificate(
      (
        await testLeaf(ca, {
          subject: { commonName: 'web', organizations: ['A', 'B'] },
          dnsNames: ['web.shop.svc', '*.shop.svc'],
          ipAddresses: ['192.0.2.1', '2001:db8::1'],
          uris: ['https://a.example/x,y'],
          emailAddresses: ['a@b.example'],
        })
      ).pem,
    );
    const node = new X509Certificate(leaf.pem);
    expect(leaf.serialNumber).toBe(node.serialNumber);
    expect(leaf.fingerprint).toBe(node.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(leaf.fingerprint).toBe(createHash('sha256').update(node.raw).digest('hex'));
    expect([leaf.notBefore, leaf.notAfter]).toEqual([node.validFromDate, node.validToDate]);
    expect(leaf.publicKey.equals(node.publicKey)).toBe(true);
    expect(leaf.pem).toBe(node.toString());
    expect(leaf.subject).toBe('CN=web,O=B,O=A');
    expect(leaf.commonName).toBe('web');
    expect(leaf.issuer).toBe('CN=CA\\, the \\"first\\",O=Shop');
    expect(leaf.dnsNames).toEqual(['web.shop.svc', '*.shop.svc']);
    expect(leaf.ipAddresses).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(leaf.uris).toEqual(['https://a.example/x,y']);
    expect(leaf.emailAddresses).toEqual(['a@b.example']);
    expect(leaf.signatureAlgorithm).toBe('1.2.840.10045.4.3.2');
    expect(leaf.pathLength).toBeUndefined();
    expect(leaf.nameConstraints).toBeUndefined();
    expect(leaf.unknownCritical).toEqual([]);
  });

  test('is taken as DER, PEM text or PEM bytes', async () => {
    const { der, pem } = await testLeaf(await testCa());
    for (const input of [der, pem, Buffer.from(pem), `text before\n${pem}`]) {
      expect(parseCertificate(input).der.equals(der)).toBe(true);
    }
  });

  test('keeps its own bytes when the caller’s buffer changes', async () => {
    const input = Buffer.from((await testLeaf(await testCa())).der);
    const certificate = parseCertificate(input);
    const { fingerprint } = certificate;
    input.fill(0);
    expect(parseCertificate(certificate.der).fingerprint).toBe(fingerprint);
  });

  test('of a CA that was read before is the same object, a leaf is not', async () => {
    const ca = await testCa();
    const leaf = await testLeaf(ca);
    expect(parseCertificate(ca.certificate.pem)).toBe(parseCertificate(ca.certificate.pem));
    expect(parseCertificate(leaf.pem)).not.toBe(parseCertificate(leaf.pem));
  });

  test('times cannot be changed by whoever gets them', async () => {
    const { certificate } = await testCa();
    certificate.notAfter.setTime(0);
    expect(certificate.notAfter).toEqual(day(365));
  });
});

describe('a bundle', () => {
  test('is read in order', async () => {
    const [a, b] = [await testCa({ subject: { commonName: 'a' } }), await testCa({ subject: { commonName: 'b' } })];
    const bundle = `# comment\n${b.certificate.pem}\r\n\r\n${a.certificate.pem}`;
    expect(parseCertificates(bundle).map((one) => one.commonName)).toEqual(['b', 'a']);
  });

  test.each([
    ['nothing', ''],
    ['text', 'no certificate here'],
  ])('of %s is refused', (_, text) => {
    expect(refusalReason(() => parseCertificates(text))).toBe('NoCertificate');
    expect(refusalReason(() => parseCertificate(text))).toBe('NoCertificate');
  });

  test('of more certificates than expected is refused', async () => {
    const { pem } = (await testCa()).certificate;
    expect(parseCertificates(pem.repeat(3), { max: 3 }).length).toBe(3);
    expect(refusalReason(() => parseCertificates(pem.repeat(4), { max: 3 }))).toBe('TooManyCertificates');
    expect(refusalReason(() => parseCertificates(pem.repeat(201)))).toBe('TooManyCertificates');
    expect(refusalReason(() => parseCertificate(pem.repeat(2)))).toBe('TooManyCertificates');
    expect(refusalReason(() => parseCertificates('x'.repeat(2_000_000)))).toBe('TooLarge');
  });

  test('with a private key in it is refused, and says which block it is', async () => {
    const ca = await testCa();
    const error = refusal(() => parseCertificates(ca.certificate.pem + ca.key.pem('PKCS8')));
    expect(error.reason).toBe('InvalidPem');
    expect(error.message).toContain('block 2');
    expect(error.message).toContain('PRIVATE KEY');
  });

  test('names the certificate that cannot be read', async () => {
    const { pem } = (await testCa()).certificate;
    const broken = encodePem('CERTIFICATE', Buffer.from('3003020101', 'hex'));
    expect(refusal(() => parseCertificates(pem + broken)).message).toContain('certificate 2');
  });
});

// ---------------------------------------------------------------- malformed on purpose

type Change = (fields: Buffer[]) => Buffer[];

/** A certificate with changed TBS fields and a signature that is wrong, which parsing does not look at. */
async function changed(change: Change): Promise<Buffer> {
  const { der } = await testLeaf(await testCa(), { subject: { commonName: 'web' } });
  const parts = childrenOf(der);
  return wrap(tag.sequence, wrap(tag.sequence, ...change(childrenOf(parts[0] ?? der))), ...parts.slice(1));
}

function childrenOf(der: Buffer): Buffer[] {
  const headerOf = (at: number) => ((der[at + 1] ?? 0) < 0x80 ? 2 : 2 + ((der[at + 1] ?? 0) & 0x7f));
  const lengthOf = (at: number) =>
    (der[at + 1] ?? 0) < 0x80 ? (der[at + 1] ?? 0) : der.readUIntBE(at + 2, (der[at + 1] ?? 0) & 0x7f);
  const children: Buffer[] = [];
  for (let at = headerOf(0); at < der.length; ) {
    const end = at + headerOf(at) + lengthOf(at);
    children.push(der.subarray(at, end));
    at = end;
  }
  return children;
}

const hex = (text: string) => Buffer.from(text, 'hex');
const replace =
  (index: number, ...by: Buffer[]): Change =>
  (fields) =>
    fields.toSpliced(index, 1, ...by);
const withExtensions =
  (...extensions: Buffer[]): Change =>
  (fields) =>
    fields.with(7, wrap(context(3, true), wrap(tag.sequence, ...extensions)));
const extension = (id: string, value: string, critical = false): Buffer =>
  wrap(tag.sequence, encode(objectIdentifier(id)), ...(critical ? [hex('0101ff')] : []), encode(octets(hex(value))));

test('an unchanged certificate survives the machinery of these tests', async () => {
  expect(parseCertificate(await changed((fields) => fields)).commonName).toBe('web');
});

test.each<[string, string, Change]>([
  ['a field too few', 'fields are missing', (fields) => fields.slice(0, 5)],
  ['version 4', 'an impossible version', replace(0, hex('a003020103'))],
  ['version 1 in clear, where it is left out', 'an impossible version', replace(0, hex('a003020100'))],
  ['version 1 and extensions', 'strange extensions', (fields) => fields.slice(1)],
  ['a negative serial number', 'an impossible serial number', replace(1, hex('0201ff'))],
  ['a padded serial number', 'a padded serial number', replace(1, hex('02020001'))],
  ['an empty serial number', 'an impossible serial number', replace(1, hex('0200'))],
  ['a serial number of 22 octets', 'an impossible serial number', replace(1, wrap(tag.integer, Buffer.alloc(22, 1)))],
  [
    'another signature algorithm inside than outside',
    'two different signature algorithms',
    replace(2, hex('300a06082a8648ce3d040303')),
  ],
  ['an issuer that is no name', 'a name is not a SEQUENCE', replace(3, hex('0500'))],
  ['a name with an empty part', 'a name has an empty part', replace(3, hex('30023100'))],
  [
    'three times',
    'validity is not two times',
    replace(4, wrap(tag.sequence, ...Array<Buffer>(3).fill(hex('170d3236303130313030303030305a')))),
  ],
  [
    'a time that does not exist',
    'a time does not exist',
    replace(4, wrap(tag.sequence, hex('170d3236303233303030303030305a'), hex('170d3237303130313030303030305a'))),
  ],
  ['a subject that is not UTF-8', 'a UTF8String is not UTF-8', replace(5, hex('300c310a300806035504030c01ff'))],
  ['a public key that is none', 'strange SubjectPublicKeyInfo', replace(6, hex('3000'))],
  ['a field after the extensions', 'a strange field after the public key', (fields) => [...fields, hex('0500')]],
  ['the extensions twice', 'a strange field after the public key', (fields) => [...fields, fields[7] ?? hex('')]],
  [
    'an extension twice',
    'extension 2.5.29.14 occurs twice',
    withExtensions(extension('2.5.29.14', '040101'), extension('2.5.29.14', '040101')),
  ],
  [
    'an extension without value',
    'an extension lacks its OID or value',
    withExtensions(wrap(tag.sequence, encode(objectIdentifier('2.5.29.14')))),
  ],
  [
    'an extension that is no DER inside',
    'the value at byte 0 is longer than what holds it',
    withExtensions(extension('2.5.29.14', '0405')),
  ],
  [
    'a BOOLEAN that is neither true nor false',
    'expected a BOOLEAN',
    withExtensions(extension('2.5.29.19', '3003010101')),
  ],
  [
    'a path length without CA',
    'basicConstraints has a strange field',
    withExtensions(extension('2.5.29.19', '3003020100')),
  ],
  ['a negative path length', 'expected a small INTEGER', withExtensions(extension('2.5.29.19', '30060101ff0201ff'))],
  [
    'an enormous path length',
    'expected a small INTEGER',
    withExtensions(extension('2.5.29.19', '300a0101ff02050fffffffff')),
  ],
  ['a key usage that allows nothing', 'keyUsage allows nothing', withExtensions(extension('2.5.29.15', '030100'))],
  [
    'a key usage that is no bit string',
    'keyUsage is not a BIT STRING',
    withExtensions(extension('2.5.29.15', '040100')),
  ],
  [
    'an extended key usage that allows nothing',
    'extendedKeyUsage allows nothing',
    withExtensions(extension('2.5.29.37', '3000')),
  ],
  ['an empty subjectAltName', 'subjectAltName is empty', withExtensions(extension('2.5.29.17', '3000'))],
  [
    'a DNS name with NUL',
    'a name has a character outside of printable ASCII',
    withExtensions(extension('2.5.29.17', '30058203610062')),
  ],
  [
    'a DNS name with a line break',
    'a name has a character outside of printable ASCII',
    withExtensions(extension('2.5.29.17', '30048202610a')),
  ],
  [
    'a DNS name in raw UTF-8',
    'a name has a character outside of printable ASCII',
    withExtensions(extension('2.5.29.17', '30048202c3bc')),
  ],
  ['an address of 5 octets', 'an IP address of 5 octets', withExtensions(extension('2.5.29.17', '300787050102030405'))],
  [
    'name constraints about nothing',
    'nameConstraints has strange fields',
    withExtensions(extension('2.5.29.30', '3000')),
  ],
  [
    'name constraints with an IP range of 6 octets',
    'an IP range of a strange length',
    withExtensions(extension('2.5.29.30', '300ca00a30088706010203040506')),
  ],
  [
    'a subtree with a minimum',
    'a subtree of name constraints is not one name',
    withExtensions(extension('2.5.29.30', '300aa0083006820161800101')),
  ],
])('%s makes a certificate unreadable: %s', async (_, problem, change) => {
  const der = await changed(change);
  const error = refusal(() => parseCertificate(der));
  expect(error.reason).toBe('InvalidCertificate');
  expect(error.message).toContain(`the certificate is no valid certificate (malformed DER, ${problem}): give an X.509`);
});

test('what follows a certificate is not ignored', async () => {
  const { der } = await testLeaf(await testCa());
  expect(refusalReason(() => parseCertificate(Buffer.concat([der, Buffer.of(0)])))).toBe('InvalidCertificate');
});

test('critical extensions that nobody knows are reported; policies do no harm', async () => {
  const der = await changed(
    withExtensions(
      extension('2.5.29.36', '3003800100', true),
      extension('2.5.29.54', '020100', true),
      extension('1.3.6.1.4.1.99999.1', '0500', true),
      extension('1.3.6.1.4.1.99999.2', '0500'),
    ),
  );
  expect(parseCertificate(der).unknownCritical).toEqual(['2.5.29.36', '1.3.6.1.4.1.99999.1']);
});

test('the zero serial number of old roots is read', async () => {
  expect(parseCertificate(await changed(replace(1, hex('020100')))).serialNumber).toBe('00');
});

test('a public key that is not on its curve is no reason to fail on reading, but on use, and matches nothing', async () => {
  const ca = await testCa();
  const der = await changed((fields) => {
    const spki = Buffer.from(fields[6] ?? hex(''));
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
    return fields.with(6, spki);
  });
  const certificate = parseCertificate(der);
  expect(refusalReason(() => certificate.publicKey)).toBe('InvalidCertificate');
  expect(isSignedBy(ca.certificate, new Certificate(der))).toBe(false);
});

describe('signatures', () => {
  const specs = [
    { algorithm: 'ECDSA' },
    { algorithm: 'ECDSA', size: 384 },
    { algorithm: 'RSA', size: 2048 },
    { algorithm: 'Ed25519' },
  ] as const;

  test('are judged as OpenSSL judges them, whatever the kinds of keys', async () => {
    const cas = await Promise.all(specs.map((spec) => testCa({ spec })));
    for (const ca of cas) {
      const { der } = await testLeaf(ca);
      const broken = Buffer.from(der);
      broken.writeUInt8((broken.at(-1) ?? 0) ^ 1, broken.length - 1);
      for (const [bytes, isWhole] of [
        [der, true],
        [broken, false],
      ] as const) {
        for (const other of cas) {
          const verdict = parseCertificate(bytes, { lightly: true }).hasSignatureOf(other.certificate.publicKey);
          expect(verdict).toBe(isWhole && other === ca);
          expect(verdict).toBe(new X509Certificate(bytes).verify(other.certificate.publicKey));
        }
      }
    }
  });

  test('a CA that was read lightly is not taken for one that OpenSSL has read', async () => {
    const { certificate } = await testCa({ subject: { commonName: 'read lightly first' } });
    const lightly = parseCertificate(certificate.pem, { lightly: true });
    expect(parseCertificate(certificate.pem)).not.toBe(lightly);
    expect(parseCertificate(certificate.pem)).toBe(parseCertificate(certificate.pem));
  });
});
