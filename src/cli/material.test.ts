import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { plainOutput } from '../certificate/outputs.ts';
import { buildLeafProfile, generateKeyPair, issueLeaf, type KeyPair } from '../pki/index.ts';
import { day, leafRequest, P256, type TestCa, testCa } from '../pki/testing.ts';
import { CliError } from './end.ts';
import { materialOf } from './material.ts';

type Data = Readonly<Record<string, string>>;

const where = 'the Secret docker/host';
const now = day(10);
let ca: TestCa;
let key: KeyPair;
let data: Data;

const base64 = (text: string): string => Buffer.from(text).toString('base64');

beforeAll(async () => {
  ca = await testCa();
  key = await generateKeyPair(P256);
  const profile = buildLeafProfile(leafRequest());
  const leaf = issueLeaf({ profile, key, issuer: ca, notBefore: day(1), notAfter: day(31) });
  const files = {
    keyPem: key.pem('PKCS8'),
    keyDer: key.der('PKCS8'),
    chainPem: leaf.pem,
    bundlePem: ca.certificate.pem,
  };
  data = {
    'tls.crt': base64(files.chainPem),
    'tls.key': base64(files.keyPem),
    'ca.crt': base64(files.bundlePem),
    ...plainOutput('Docker', files),
    'somebody.else': base64('x'),
  };
});

const secret = (content: object) => ({ metadata: { resourceVersion: '7' }, data: content });
const without = (name: string): Data => Object.fromEntries(Object.entries(data).filter(([other]) => other !== name));

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CliError && error.fault === 'unusable') return error.message;
    throw error;
  }
  return 'none';
}

test('all that the operator writes, and nothing else, if no files are named; keys are told from the rest', () => {
  const { files } = materialOf(secret(data), where, undefined, now);
  expect(Object.fromEntries(files.map(({ name, secret: kept }) => [name, kept]))).toEqual({
    'tls.crt': false,
    'tls.key': true,
    'ca.crt': false,
    'ca.pem': false,
    'cert.pem': false,
    'key.pem': true,
  });
  for (const { name, content } of files) expect(content.toString('base64')).toBe(data[name]);
});

test.each(['somebody.else', 'truststore.p12', 'truststore.jks'])(
  'a file that nobody knows, or that a password opens, is kept like a key: %s',
  (file) => {
    const stores = {
      'keystore.p12': 'eA==',
      'truststore.p12': 'eA==',
      'keystore.jks': 'eA==',
      'truststore.jks': 'eA==',
    };
    const { files } = materialOf(secret({ ...data, ...stores }), where, [file], now);
    expect(files.map(({ name, secret: kept }) => [name, kept])).toEqual([[file, true]]);
  },
);

describe('refuses', () => {
  test.each<[string, () => unknown, string]>([
    ['what is no Secret', () => 'text', 'not a Secret'],
    ['data that is not base64', () => secret({ ...data, 'tls.crt': '*' }), 'not a Secret'],
    ['an empty Secret', () => secret({}), 'has no tls.crt, no tls.key, no ca.crt'],
    ['a Secret without key', () => secret(without('tls.key')), 'has no tls.key'],
    ['a Secret without a wanted file', () => secret(without('key.pem')), 'has no key.pem'],
    ['an empty file', () => secret({ ...data, 'key.pem': '' }), 'has no key.pem'],
    ['a certificate that is none', () => secret({ ...data, 'tls.crt': base64('x') }), 'tls.crt cannot be read'],
    ['a key that is none', () => secret({ ...data, 'tls.key': data['ca.crt'] }), 'tls.key cannot be read'],
    ["the key of another's", () => secret({ ...data, 'tls.key': base64(ca.key.pem('PKCS8')) }), 'is not the key'],
    ['a root that has not signed', () => secret({ ...data, 'ca.crt': data['tls.crt'] }), ''],
    [
      "a further form with another's key",
      () => secret({ ...data, 'key.pem': base64(ca.key.pem('PKCS8')) }),
      'ca.pem, key.pem do not say the same',
    ],
  ])('%s', (_, content, said) => {
    expect(refusal(() => materialOf(content(), where, ['ca.pem', 'key.pem'], now))).toContain(said);
  });

  test.each([
    ['an expired certificate', day(32), 'expired at'],
    ['one that is not valid yet', new Date('2025-12-31T00:00:00Z'), 'the clock of this host says 2025-12-31'],
  ])('%s', (_, at, said) => {
    expect(refusal(() => materialOf(secret(data), where, undefined, at))).toContain(said);
  });
});

test('whatever stands in a Secret: it is taken or refused, and no refusal tells of a key', () => {
  const hostile = fc.oneof(fc.string(), fc.base64String(), fc.constantFrom(...Object.values(data)), fc.anything());
  const damage = fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(data)), fc.string()), hostile);
  const lines = key.pem('PKCS8').split('\n').slice(1, -2);
  fc.assert(
    fc.property(damage, (content) => {
      const said = refusal(() => materialOf(secret({ ...data, ...content }), where, undefined, now));
      for (const line of lines) expect(said).not.toContain(line);
    }),
  );
});
