import { beforeAll, describe, expect, test } from 'vitest';
import type { KeyPair } from './keyPair.ts';
import { generateKeyPair } from './keys.ts';
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
    keyPem: key.pem('PKCS8'),
    issuer: issuing,
    intermediatesPem: issuing.certificate.pem,
    bundlePem: root.certificate.pem,
    profile: buildLeafProfile(leafRequest()),
    notAfter: day(31),
  };
});

const problem = (changes: Partial<IssuedWhole>): string => {
  const error = refusal(() => verifyIssued({ ...whole, ...changes }));
  expect(error.reason).toBe('IssuedUnsound');
  return error.message;
};

describe('what was issued may be handed out', () => {
  test('when all of it belongs together, and its serial number is told', () => {
    expect(verifyIssued(whole)).toEqual({ serialNumber: whole.leaf.serialNumber });
  });

  test.each(['PKCS8', 'SEC1'] as const)('with the key in %s', (encoding) => {
    expect(verifyIssued({ ...whole, keyPem: key.pem(encoding) })).toBeDefined();
  });

  test.each([{ algorithm: 'RSA', size: 2048 }, { algorithm: 'ECDSA', size: 384 }, { algorithm: 'Ed25519' }] as const)(
    'with a key of $algorithm $size',
    async (spec) => {
      const other = await generateKeyPair(spec);
      const leaf = await testLeaf(issuing, { key: spec }, { key: other });
      const profile = buildLeafProfile(leafRequest({ key: spec }));
      expect(verifyIssued({ ...whole, leaf, profile, keyPem: other.pem('PKCS8') })).toBeDefined();
    },
  );

  test('right under a root, without intermediates', async () => {
    const leaf = await testLeaf(root, {}, { key });
    expect(verifyIssued({ ...whole, leaf, issuer: root, intermediatesPem: '' })).toBeDefined();
  });

  test('with a renewed certificate of the same CA behind it', async () => {
    const renewed = await testCa({
      subject: { commonName: 'issuing' },
      issuer: root,
      key: issuing.key,
      notAfter: day(200),
    });
    expect(verifyIssued({ ...whole, intermediatesPem: renewed.certificate.pem })).toBeDefined();
  });

  test('with further roots beside its own', () => {
    expect(verifyIssued({ ...whole, bundlePem: stranger.certificate.pem + root.certificate.pem })).toBeDefined();
  });
});

describe('nothing is handed out', () => {
  test('with the key of another', async () => {
    const other = await generateKeyPair({ algorithm: 'ECDSA' });
    expect(problem({ keyPem: other.pem('PKCS8') })).toContain('private key is not the one');
  });

  test('with a key that cannot be read, of which no word is told', () => {
    const text = problem({ keyPem: whole.keyPem.slice(0, 60) });
    expect(text).toContain('the private key cannot be read back');
    expect(text).not.toContain(whole.keyPem.slice(30, 50));
  });

  test('that does not say what was asked for', () => {
    const profile = buildLeafProfile(leafRequest({ dnsNames: ['other.shop.svc'] }));
    expect(problem({ profile })).toContain('does not say what was asked for');
  });

  test('that ends at another time', () => {
    expect(problem({ notAfter: day(30) })).toContain('ends at');
  });

  test('with a signature of another CA', async () => {
    const leaf = await testLeaf(stranger, {}, { key });
    expect(problem({ leaf })).toContain('not signed by');
  });

  test('with a broken signature', async () => {
    const der = Buffer.from(whole.leaf.der);
    der.writeUInt8((der.at(-1) ?? 0) ^ 1, der.length - 1);
    expect(problem({ leaf: Object.assign(Object.create(whole.leaf), { der }) })).toMatch(
      /not signed by|cannot be read/,
    );
  });

  test('whose chain does not lead to the roots beside it', () => {
    expect(problem({ bundlePem: stranger.certificate.pem })).toContain('does not lead to the roots');
    expect(problem({ bundlePem: '' })).toContain('does not lead to the roots');
  });

  test('without the intermediate that peers need', () => {
    expect(problem({ intermediatesPem: '' })).toContain('does not stand where peers look for it');
    expect(problem({ intermediatesPem: stranger.certificate.pem })).toContain('does not stand where peers look for it');
  });

  test('with texts that were good for an earlier one', () => {
    expect(verifyIssued(whole)).toBeDefined();
    expect(problem({ bundlePem: 'no certificate' })).toContain('the chain cannot be read back');
    expect(verifyIssued(whole)).toBeDefined();
  });
});
