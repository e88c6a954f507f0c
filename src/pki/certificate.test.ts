import { createPublicKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { chainPem, type IssuingCa, issueCa, issueLeaf, randomSerial } from './certificate.ts';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair } from './keys.ts';
import { parseCertificate, parseCertificates } from './parse.ts';
import { buildLeafProfile } from './profile.ts';
import { day, leafRequest, refusal, refusalReason, testCa, testLeaf } from './testing.ts';

const specs: KeySpec[] = [
  { algorithm: 'ECDSA', size: 256 },
  { algorithm: 'ECDSA', size: 384 },
  { algorithm: 'Ed25519' },
  { algorithm: 'RSA', size: 2048 },
];

describe('a leaf', () => {
  test.each(specs)('of a CA with a key of %j is signed by it and says who signed', async (spec) => {
    const ca = await testCa({ spec });
    const leaf = parseCertificate((await testLeaf(ca)).pem);
    expect(leaf.hasSignatureOf(ca.certificate.publicKey)).toBe(true);
    expect(leaf.issuer).toBe('CN=Test CA');
    expect(leaf.authorityKeyId).toEqual(ca.certificate.subjectKeyId);
    expect(leaf.isCa).toBe(false);
    expect(leaf.selfSigned).toBe(false);
    expect([leaf.notBefore, leaf.notAfter]).toEqual([day(1), day(31)]);
  });

  test('is the same object whether it was issued or parsed', async () => {
    const issued = await testLeaf(await testCa(), { subject: { commonName: 'web' }, uris: ['urn:x:y'] });
    const parsed = parseCertificate(issued.der);
    for (const field of [
      'serialNumber',
      'subject',
      'issuer',
      'fingerprint',
      'pem',
      'dnsNames',
      'uris',
      'keyUsage',
      'profileDigest',
    ] as const) {
      expect(parsed[field]).toEqual(issued[field]);
    }
  });

  test('takes the serial number that it is given', async () => {
    const ca = await testCa();
    const serial = (octets: string) =>
      testLeaf(ca, {}, { serial: Buffer.from(octets, 'hex') }).then((leaf) => leaf.serialNumber);
    expect(await serial('01')).toBe('01');
    expect(await serial('80')).toBe('80');
    expect(await serial('000102')).toBe('0102');
    expect(await serial('ff'.repeat(20))).toBe('FF'.repeat(20));
    for (const octets of ['', '00', '0000', 'ff'.repeat(21)]) {
      await expect(serial(octets)).rejects.toMatchObject({ reason: 'InvalidSerialNumber' });
    }
  });

  test('is refused for a key of another kind than its profile asks for', async () => {
    const key = await generateKeyPair({ algorithm: 'ECDSA', size: 384 });
    await expect(testLeaf(await testCa(), {}, { key })).rejects.toMatchObject({ reason: 'KeyDoesNotMatchProfile' });
  });

  test('never outlives any CA of its chain', async () => {
    const root = await testCa({ notAfter: day(20) });
    const intermediate = await testCa({ subject: { commonName: 'Intermediate' }, issuer: root, notAfter: day(20) });
    expect((await testLeaf(intermediate, {}, { notAfter: day(20) })).notAfter).toEqual(day(20));
    await expect(testLeaf(intermediate, {}, { notAfter: day(21) })).rejects.toMatchObject({
      reason: 'IssuerExpiresFirst',
    });
    const withLongIntermediate = { ...(await testCa()), chain: [root.certificate] };
    await expect(testLeaf(withLongIntermediate, {}, { notAfter: day(21) })).rejects.toMatchObject({
      reason: 'IssuerExpiresFirst',
    });
  });

  test('is refused by a CA that is none, that may not sign, or whose key is another', async () => {
    const ca = await testCa();
    const leaf = await testLeaf(ca);
    const issue = (issuer: IssuingCa) => testLeaf(issuer);
    await expect(issue({ certificate: leaf, privateKey: ca.privateKey, chain: [leaf] })).rejects.toMatchObject({
      reason: 'IssuerNotCa',
    });
    for (const spec of specs) {
      const { privateKey } = await generateKeyPair(spec);
      await expect(issue({ ...ca, privateKey })).rejects.toMatchObject({ reason: 'IssuerKeyMismatch' });
    }
    await expect(issue({ ...ca, privateKey: createPublicKey(ca.privateKey) })).rejects.toMatchObject({
      reason: 'UnsupportedKey',
    });
  });

  test('is refused for names outside of the name constraints of any CA of the chain', async () => {
    const root = await testCa({ nameConstraints: { permitted: { dnsDomains: ['svc'] } } });
    const intermediate = await testCa({ subject: { commonName: 'Intermediate' }, issuer: root });
    expect((await testLeaf(intermediate)).dnsNames).toEqual(['web.shop.svc']);
    await expect(testLeaf(intermediate, { dnsNames: ['web.example.com'] })).rejects.toMatchObject({
      reason: 'NameNotPermitted',
      message: expect.stringContaining(
        '"web.example.com" is not permitted by the name constraints of the CA CN=Test CA',
      ),
    });
  });

  test('errors of one order leave the issuer usable for the next', async () => {
    const ca = await testCa();
    await expect(testLeaf(ca, {}, { notAfter: day(0) })).rejects.toMatchObject({ reason: 'InvalidValidity' });
    await expect(testLeaf(ca)).resolves.toBeDefined();
  });
});

describe('a CA', () => {
  test.each(specs)('with a key of %j may sign certificates and nothing else', async (spec) => {
    const { certificate } = await testCa({ spec, pathLength: 1 });
    expect(certificate.isCa).toBe(true);
    expect(certificate.pathLength).toBe(1);
    expect([...certificate.keyUsage]).toEqual(['keyCertSign', 'cRLSign']);
    expect(certificate.selfSigned).toBe(true);
    expect(certificate.authorityKeyId).toEqual(certificate.subjectKeyId);
  });

  test('below another CA names it and is not self-signed', async () => {
    const root = await testCa();
    const { certificate } = await testCa({ subject: { commonName: 'Intermediate' }, issuer: root });
    expect(certificate.selfSigned).toBe(false);
    expect(certificate.authorityKeyId).toEqual(root.certificate.subjectKeyId);
    expect(certificate.pathLength).toBeUndefined();
  });

  test('needs room in the path length of its issuer', async () => {
    const root = await testCa({ pathLength: 1 });
    const below = (pathLength?: number) =>
      testCa({
        subject: { commonName: 'Intermediate' },
        issuer: root,
        ...(pathLength === undefined ? {} : { pathLength }),
      });
    const intermediate = await below(0);
    await expect(below()).resolves.toBeDefined();
    await expect(below(1)).rejects.toMatchObject({ reason: 'IssuerPathLength' });
    await expect(testCa({ issuer: intermediate })).rejects.toMatchObject({ reason: 'IssuerPathLength' });
  });

  test('needs room in the path length of every CA above', async () => {
    const root = await testCa({ pathLength: 1 });
    const intermediate = await testCa({ subject: { commonName: 'Intermediate' }, issuer: root });
    await expect(testCa({ subject: { commonName: 'Lower' }, issuer: intermediate })).rejects.toMatchObject({
      reason: 'IssuerPathLength',
    });
  });

  test.each([-1, 1.5, 21, Number.NaN])('refuses the path length %d', async (pathLength) => {
    await expect(testCa({ pathLength })).rejects.toMatchObject({ reason: 'InvalidPathLength' });
  });

  test('needs a subject', async () => {
    await expect(testCa({ subject: {} })).rejects.toMatchObject({ reason: 'InvalidSubject' });
  });

  test('never outlives its issuer', async () => {
    const issuer = await testCa({ notAfter: day(30) });
    await expect(testCa({ issuer, notAfter: day(31) })).rejects.toMatchObject({ reason: 'IssuerExpiresFirst' });
  });

  test('with name constraints carries them', async () => {
    const { certificate } = await testCa({
      nameConstraints: {
        permitted: { dnsDomains: ['svc'], ipRanges: ['10.1.2.3/12', '2001:db8::/33'] },
        excluded: { uriDomains: ['.x'], emailAddresses: ['a@b'] },
      },
    });
    expect(certificate.nameConstraints?.permitted.dnsNames).toEqual(['svc']);
    expect(certificate.nameConstraints?.permitted.ipRanges.map((range) => range.toString('hex'))).toEqual([
      '0a000000fff00000',
      '20010db8000000000000000000000000ffffffff800000000000000000000000',
    ]);
    expect(certificate.nameConstraints?.excluded).toMatchObject({
      dnsNames: [],
      uris: ['.x'],
      emailAddresses: ['a@b'],
    });
  });
});

test('the chain has leaf and intermediates, never a self-signed certificate', async () => {
  const root = await testCa();
  const upper = await testCa({ subject: { commonName: 'Upper' }, issuer: root });
  const lower = await testCa({ subject: { commonName: 'Lower' }, issuer: upper });
  const leaf = await testLeaf(lower, { subject: { commonName: 'leaf' } });
  expect(parseCertificates(chainPem(leaf, lower)).map((one) => one.subject)).toEqual([
    'CN=leaf',
    'CN=Lower',
    'CN=Upper',
  ]);
  expect(parseCertificates(chainPem(await testLeaf(root), root)).length).toBe(1);
});

test('serial numbers are 16 octets, positive, and never the same', () => {
  const serials = Array.from({ length: 2000 }, () => randomSerial().toString('hex'));
  expect(serials.every((serial) => /^[4-7][0-9a-f]{31}$/.test(serial))).toBe(true);
  expect(new Set(serials).size).toBe(serials.length);
});

test('refusals name the CA and the times', async () => {
  const ca = await testCa({ notAfter: day(10) });
  const profile = buildLeafProfile(leafRequest());
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const error = refusal(() => issueLeaf({ profile, key, issuer: ca, notBefore: day(1), notAfter: day(11) }));
  expect(error.message).toBe(
    'the certificate would last until 2026-01-11T00:00:00.000Z, the CA CN=Test CA until 2026-01-10T00:00:00.000Z: ask for a shorter duration or renew the CA first',
  );
  expect(
    refusalReason(() => issueCa({ subject: { commonName: '\0' }, key, notBefore: day(1), notAfter: day(2) })),
  ).toBe('InvalidSubject');
});
