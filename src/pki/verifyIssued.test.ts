import { beforeAll, describe, expect, test } from 'vitest';
import type { KeyPair } from './keyPair.ts';
import { generateKeyPair } from './keys.ts';
import { Certificate } from './parse.ts';
import { buildLeafProfile } from './profile.ts';
import { day, leafRequest, refusal, type TestCa, testCa, testLeaf } from './testing.ts';
import { type IssuedWhole, verifyIssued } from './verifyIssued.ts';

let root: TestCa;
let issuing: TestCa;
let stranger: TestCa;
let key: KeyPair;
let whole: IssuedWhole;

beforeAll(async () => {
  root = await testCa({ subject: { commonName: 'root' } });
  issuing = await testCa({ subject: { commonName: 'issuing' }, issuer: root });
  stranger = await testCa({ subject: { commonName: 'stranger' } });
  key = await generateKeyPair({ algorithm: 'ECDSA' });
  whole = {
    leaf: await testLeaf(issuing, {}, { key }),
    key,
    issuer: issuing,
    intermediatesPem: issuing.certificate.pem,
    bundlePem: root.certificate.pem,
    profile: buildLeafProfile(leafRequest()),
  };
});

const problem = (changes: Partial<IssuedWhole>): string => {
  const error = refusal(() => verifyIssued({ ...whole, ...changes }));
  expect(error.reason).toBe('IssuedUnsound');
  return error.message;
};

describe('what was issued may be handed out', () => {
  test('when all of it belongs together', () => {
    verifyIssued(whole);
  });

  test.each([{ algorithm: 'RSA', size: 2048 }, { algorithm: 'ECDSA', size: 384 }, { algorithm: 'Ed25519' }] as const)(
    'with keys of $algorithm $size in CA and leaf',
    async (spec) => {
      const other = await generateKeyPair(spec);
      const ca = await testCa({ subject: { commonName: 'other' }, issuer: root, spec });
      const leaf = await testLeaf(ca, { key: spec }, { key: other });
      const profile = buildLeafProfile(leafRequest({ key: spec }));
      verifyIssued({ ...whole, leaf, profile, key: other, issuer: ca, intermediatesPem: ca.certificate.pem });
    },
  );

  test('right under a root, without intermediates', async () => {
    const leaf = await testLeaf(root, {}, { key });
    verifyIssued({ ...whole, leaf, issuer: root, intermediatesPem: '' });
  });

  test('with a renewed certificate of the same CA behind it', async () => {
    const subject = { commonName: 'issuing' };
    const renewed = await testCa({ subject, issuer: root, key: issuing.key, notAfter: day(200) });
    verifyIssued({ ...whole, intermediatesPem: renewed.certificate.pem });
  });

  test('with further roots beside its own', () => {
    verifyIssued({ ...whole, bundlePem: stranger.certificate.pem + root.certificate.pem });
  });
});

describe('nothing is handed out', () => {
  test('with the key of another', async () => {
    expect(problem({ key: await generateKeyPair({ algorithm: 'ECDSA' }) })).toContain('for another key');
  });

  test('that does not say what was asked for', () => {
    const profile = buildLeafProfile(leafRequest({ dnsNames: ['other.shop.svc'] }));
    expect(problem({ profile })).toContain('does not say what was asked for');
  });

  test('with a signature of another CA', async () => {
    expect(problem({ leaf: await testLeaf(stranger, {}, { key }) })).toContain('not signed by');
  });

  test.each([
    ['a bit of its signature', (der: Buffer) => der.length - 1],
    // [0] version, INTEGER serial: behind the two headers of four octets each.
    ['a bit of its serial number', () => 4 + 4 + 5 + 2 + 3],
  ])('with %s flipped', (_, at) => {
    const der = Buffer.from(whole.leaf.der);
    der.writeUInt8((der[at(der)] ?? 0) ^ 1, at(der));
    expect(problem({ leaf: new Certificate(der) })).toContain('not signed by');
  });

  test('cut short anywhere', () => {
    const { der } = whole.leaf;
    for (let length = 0; length < der.length; length += 1)
      expect(problem({ leaf: new Certificate(der.subarray(0, length)) })).toMatch(/not whole|another key|not signed/);
  });

  test('whose chain does not lead to the roots beside it', () => {
    expect(problem({ bundlePem: stranger.certificate.pem })).toContain('does not lead to the roots');
    expect(problem({ bundlePem: '' })).toContain('does not lead to the roots');
  });

  test('without the intermediate that peers need', () => {
    expect(problem({ intermediatesPem: '' })).toContain('does not stand where peers look for it');
    expect(problem({ intermediatesPem: stranger.certificate.pem })).toContain('does not stand where peers look for it');
  });

  test('with texts that cannot be read, although earlier ones were good', () => {
    verifyIssued(whole);
    expect(problem({ bundlePem: 'no certificate' })).toContain('the chain cannot be read back');
    verifyIssued(whole);
  });
});
