import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import type { KeyPair } from './keyPair.ts';
import { type KeyAlgorithm, type KeyEncoding, type KeySpec, resolveKeySpec } from './keySpec.ts';
import { generateKeyPair, keyMatches } from './keys.ts';
import { refusal, testCa, testLeaf } from './testing.ts';

test.each<[KeySpec, KeyEncoding[]]>([
  [{ algorithm: 'ECDSA' }, ['PKCS8', 'SEC1']],
  [{ algorithm: 'ECDSA', size: 384 }, ['PKCS8', 'SEC1']],
  [{ algorithm: 'Ed25519' }, ['PKCS8']],
  [{ algorithm: 'RSA' }, ['PKCS8', 'PKCS1']],
  [{ algorithm: 'RSA', size: 2056 }, ['PKCS8', 'PKCS1']],
])('%j is made, and every encoding it has holds the same key', async (spec, encodings) => {
  const pair = await generateKeyPair(spec);
  expect(pair.spec).toEqual(resolveKeySpec(spec));
  const digest = spec.algorithm === 'Ed25519' ? null : 'sha256';
  for (const encoding of encodings) {
    const key = createPrivateKey(pair.pem(encoding));
    const publicKey = createPublicKey({ key: pair.spki, format: 'der', type: 'spki' });
    expect(verify(digest, Buffer.from('x'), publicKey, sign(digest, Buffer.from('x'), key))).toBe(true);
    expect(pair.pem(encoding)).toBe(pair.pem(encoding));
  }
  for (const encoding of (['PKCS8', 'PKCS1', 'SEC1'] as const).filter((one) => !encodings.includes(one))) {
    expect(refusal(() => pair.pem(encoding)).reason).toBe('InvalidKeyEncoding');
  }
});

test('the encodings have the labels that programs look for', async () => {
  const [ec, rsa] = [await generateKeyPair({ algorithm: 'ECDSA' }), await generateKeyPair({ algorithm: 'RSA' })];
  const firstLine = (pem: string) => pem.split('\n')[0];
  expect(firstLine(ec.pem('PKCS8'))).toBe('-----BEGIN PRIVATE KEY-----');
  expect(firstLine(ec.pem('SEC1'))).toBe('-----BEGIN EC PRIVATE KEY-----');
  expect(firstLine(rsa.pem('PKCS1'))).toBe('-----BEGIN RSA PRIVATE KEY-----');
});

const asAlgorithm = (text: string): KeyAlgorithm => (text === 'RSA' ? 'RSA' : text === 'Ed25519' ? 'Ed25519' : 'ECDSA');

test.each([
  ['ECDSA', 224],
  ['ECDSA', 521],
  ['ECDSA', 0],
  ['RSA', 1024],
  ['RSA', 2047],
  ['RSA', 2049],
  ['RSA', 8192],
  ['RSA', Number.NaN],
  ['Ed25519', 256],
])('%s with %i bits is refused', async (algorithm, size) => {
  await expect(generateKeyPair({ algorithm: asAlgorithm(algorithm), size })).rejects.toMatchObject({
    reason: 'InvalidKeySpec',
  });
});

test('RSA keys are made while the event loop goes on, two at a time', async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  let inFlight = 0;
  const keys = Array.from({ length: 5 }, async () => {
    const pair = await generateKeyPair({ algorithm: 'RSA', size: 3072 });
    inFlight++;
    return pair;
  });
  await Promise.race(keys);
  expect(ticks).toBeGreaterThan(0);
  // The first is done; only one more can have been finished in the same moment.
  expect(inFlight).toBeLessThanOrEqual(2);
  const made = await Promise.all(keys);
  clearInterval(timer);
  expect(new Set(made.map((pair) => pair.spki.toString('hex'))).size).toBe(5);
});

test('an elliptic key is not kept waiting by RSA keys', async () => {
  const order: string[] = [];
  const rsa = [1, 2, 3].map(() => generateKeyPair({ algorithm: 'RSA', size: 3072 }).then(() => order.push('RSA')));
  await generateKeyPair({ algorithm: 'ECDSA' }).then(() => order.push('ECDSA'));
  await Promise.all(rsa);
  expect(order[0]).toBe('ECDSA');
});

test.each<KeySpec>([{ algorithm: 'ECDSA' }, { algorithm: 'Ed25519' }])(
  'printing a key pair of %j shows nothing private',
  async (spec) => {
    const pair = await generateKeyPair(spec);
    const secret = pair.der('PKCS8');
    void pair.privateKey;
    const printed = `${inspect(pair, { depth: 9, showHidden: true, maxArrayLength: 1000 })}${JSON.stringify(pair)}${String(pair)}`;
    const numbers = printed.replace(/\s/g, '');
    const seed = spec.algorithm === 'Ed25519' ? secret.subarray(16) : secret.subarray(36, 68);
    expect(printed.includes(seed.toString('hex'))).toBe(false);
    expect(
      printed.includes([...seed.subarray(0, 8)].map((octet) => octet.toString(16).padStart(2, '0')).join(' ')),
    ).toBe(false);
    expect(numbers.includes([...seed.subarray(0, 8)].join(','))).toBe(false);
  },
);

// ---------------------------------------------------------------- belonging together

test('a key matches its certificate and no other, whatever kinds they are of', async () => {
  const ca = await testCa();
  const specs: KeySpec[] = [
    { algorithm: 'ECDSA' },
    { algorithm: 'ECDSA', size: 384 },
    { algorithm: 'Ed25519' },
    { algorithm: 'RSA' },
  ];
  const pairs: KeyPair[] = [];
  for (const spec of [...specs, ...specs]) pairs.push(await generateKeyPair(spec));
  for (const [i, key] of pairs.entries()) {
    const certificate = await testLeaf(ca, { key: key.spec }, { key });
    for (const [j, other] of pairs.entries()) {
      expect(keyMatches(other, certificate)).toBe(i === j);
      expect(keyMatches(other.privateKey, certificate)).toBe(i === j);
      expect(keyMatches(createPublicKey(other.privateKey), certificate)).toBe(i === j);
    }
  }
  // KeyObject.equals would have left errors behind that break the next import.
  for (const pair of pairs) expect(() => createPrivateKey(pair.pem('PKCS8'))).not.toThrow();
});

test('a public key in compressed form is the same key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const yIsOdd = ((Buffer.from(y, 'base64url').at(-1) ?? 0) & 1) === 1;
  const compressed = Buffer.concat([
    Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
    Buffer.of(yIsOdd ? 3 : 2),
    Buffer.from(x, 'base64url'),
  ]);
  const certificate = {
    spki: compressed,
    publicKey: createPublicKey({ key: compressed, format: 'der', type: 'spki' }),
  };
  expect(keyMatches(privateKey, certificate)).toBe(true);
  expect(keyMatches(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, certificate)).toBe(false);
});

test('kinds of keys that are never ours match nothing and break nothing', async () => {
  const pair = await generateKeyPair({ algorithm: 'ECDSA' });
  const { publicKey } = generateKeyPairSync('ed448');
  const certificate = { spki: publicKey.export({ format: 'der', type: 'spki' }), publicKey };
  expect(keyMatches(pair, certificate)).toBe(false);
});
