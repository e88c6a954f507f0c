import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair } from './keys.ts';
import { loadKeyPair } from './loadKey.ts';
import { encodePem } from './pem.ts';
import { refusal } from './testing.ts';

test.each<KeySpec>([
  { algorithm: 'ECDSA', size: 256 },
  { algorithm: 'ECDSA', size: 384 },
  { algorithm: 'Ed25519' },
  { algorithm: 'RSA', size: 2048 },
])('a key of %j is loaded from each of its encodings', async (spec) => {
  const pair = await generateKeyPair(spec);
  const encodings =
    spec.algorithm === 'RSA'
      ? (['PKCS8', 'PKCS1'] as const)
      : spec.algorithm === 'ECDSA'
        ? (['PKCS8', 'SEC1'] as const)
        : (['PKCS8'] as const);
  for (const encoding of encodings) {
    const loaded = loadKeyPair(Buffer.from(pair.pem(encoding)));
    expect(loaded.spec).toEqual(spec);
    expect(loaded.spki.equals(pair.spki)).toBe(true);
    for (const other of encodings) expect(loaded.pem(other) === pair.pem(other)).toBe(true);
  }
});

test('what openssl writes around keys does no harm', async () => {
  const pair = await generateKeyPair({ algorithm: 'ECDSA' });
  const parameters = encodePem('EC PARAMETERS', Buffer.from('06082a8648ce3d030107', 'hex'));
  expect(loadKeyPair(`Bag Attributes\n${parameters}${pair.pem('SEC1')}trailing text`).spki.equals(pair.spki)).toBe(
    true,
  );
});

test('an EC key without its public half is loaded; the half is computed', async () => {
  const pair = await generateKeyPair({ algorithm: 'ECDSA' });
  const scalar = pair.der('SEC1').subarray(7, 39);
  const short = Buffer.concat([
    Buffer.from('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420', 'hex'),
    scalar,
  ]);
  expect(loadKeyPair(encodePem('PRIVATE KEY', short)).spki.equals(pair.spki)).toBe(true);
});

const pkcs8 = (key: KeyObject) => encodePem('PRIVATE KEY', key.export({ format: 'der', type: 'pkcs8' }));

test.each([
  ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
  ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
  ['Ed448', () => generateKeyPairSync('ed448')],
  ['X25519', () => generateKeyPairSync('x25519')],
  ['RSA 1024', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
  ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 })],
  ['RSA with a huge exponent', () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 0xffff_ffff })],
])('a key of a kind that is not supported (%s) is named', (_, make) => {
  const error = refusal(() => loadKeyPair(pkcs8(make().privateKey)));
  expect(error.reason).toBe('UnsupportedKey');
  expect(error.message).toContain('P-256');
});

test.each(['PKCS8', 'SEC1'] as const)('an EC key (%s) with the public half of another is refused', async (encoding) => {
  const [one, other] = [await generateKeyPair({ algorithm: 'ECDSA' }), await generateKeyPair({ algorithm: 'ECDSA' })];
  const mixed = Buffer.concat([one.der(encoding).subarray(0, -65), other.der(encoding).subarray(-65)]);
  const label = encoding === 'PKCS8' ? 'PRIVATE KEY' : 'EC PRIVATE KEY';
  // OpenSSL sees nothing wrong, which is why the check is ours.
  expect(() =>
    createPrivateKey({ key: mixed, format: 'der', type: encoding === 'PKCS8' ? 'pkcs8' : 'sec1' }),
  ).not.toThrow();
  expect(refusal(() => loadKeyPair(encodePem(label, mixed))).message).toContain('do not belong together');
});

test('an RSA key whose numbers do not fit each other is refused', async () => {
  const pair = await generateKeyPair({ algorithm: 'RSA' });
  const der = pair.der('PKCS1');
  // Each of n, d, p, q, dp, dq, qi in turn, changed in its middle.
  let at = 4 + 3;
  for (let field = 0; field < 8; field++) {
    const length = (der[at + 1] ?? 0) < 0x80 ? (der[at + 1] ?? 0) : der.readUIntBE(at + 2, (der[at + 1] ?? 0) & 0x7f);
    const start = at + ((der[at + 1] ?? 0) < 0x80 ? 2 : 2 + ((der[at + 1] ?? 0) & 0x7f));
    at = start + length;
    if (field === 1) continue; // the public exponent has no middle
    const changed = Buffer.from(der);
    changed[start + (length >> 1)] = (changed[start + (length >> 1)] ?? 0) ^ 0x10;
    expect(refusal(() => loadKeyPair(encodePem('RSA PRIVATE KEY', changed))).reason).toBe('InvalidPrivateKey');
  }
  expect(at).toBe(der.length);
});

test.each([
  ['nothing', ''],
  ['text', 'no key here'],
  ['a certificate', encodePem('CERTIFICATE', Buffer.from('3000', 'hex'))],
  ['a public key', encodePem('PUBLIC KEY', Buffer.from('3000', 'hex'))],
  ['something that is no DER', encodePem('PRIVATE KEY', Buffer.from('garbage'))],
  ['an empty structure', encodePem('PRIVATE KEY', Buffer.from('3000', 'hex'))],
  ['an unknown label', encodePem('OPENSSH PRIVATE KEY', Buffer.from('3000', 'hex'))],
])('%s instead of a key is refused', (_, text) => {
  expect(refusal(() => loadKeyPair(text)).reason).toBe('InvalidPrivateKey');
});

test('two keys, and a key beside a certificate, are refused', async () => {
  const pem = (await generateKeyPair({ algorithm: 'ECDSA' })).pem('PKCS8');
  expect(refusal(() => loadKeyPair(pem + pem)).reason).toBe('InvalidPrivateKey');
  expect(refusal(() => loadKeyPair(pem + encodePem('CERTIFICATE', Buffer.from('3000', 'hex')))).reason).toBe(
    'InvalidPrivateKey',
  );
});

test('a key under the label of another kind is refused', async () => {
  const [ec, rsa] = [await generateKeyPair({ algorithm: 'ECDSA' }), await generateKeyPair({ algorithm: 'RSA' })];
  expect(refusal(() => loadKeyPair(encodePem('RSA PRIVATE KEY', ec.der('SEC1')))).reason).toBe('InvalidPrivateKey');
  expect(refusal(() => loadKeyPair(encodePem('EC PRIVATE KEY', rsa.der('PKCS1')))).reason).toBe('InvalidPrivateKey');
  expect(refusal(() => loadKeyPair(encodePem('PRIVATE KEY', ec.der('SEC1')))).reason).toBe('InvalidPrivateKey');
});

test('no refusal quotes anything of the key', async () => {
  const pair = await generateKeyPair({ algorithm: 'ECDSA' });
  const broken = pair.pem('PKCS8').replace('MIGH', 'MIGG');
  const { message, stack } = refusal(() => loadKeyPair(broken));
  const secret = pair.der('PKCS8').toString('base64').slice(60, 80);
  expect(`${message}${stack}`.includes(secret)).toBe(false);
});
