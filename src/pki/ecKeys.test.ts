import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { drawScalar, generateEcKeyPair, recogniseEcKeyPair } from './ecKeys.ts';

describe.each([256, 384] as const)('P-%i', (size) => {
  test('keys are written byte for byte as node:crypto writes them', () => {
    for (let i = 0; i < 300; i++) {
      const pair = generateEcKeyPair(size);
      const object = createPrivateKey({ key: pair.der('PKCS8'), format: 'der', type: 'pkcs8' });
      expect(object.asymmetricKeyDetails).toEqual({ namedCurve: size === 256 ? 'prime256v1' : 'secp384r1' });
      expect(object.export({ format: 'der', type: 'pkcs8' }).equals(pair.der('PKCS8'))).toBe(true);
      expect(object.export({ format: 'der', type: 'sec1' }).equals(pair.der('SEC1'))).toBe(true);
      expect(createPublicKey(object).export({ format: 'der', type: 'spki' }).equals(pair.spki)).toBe(true);
      expect(object.export({ format: 'pem', type: 'pkcs8' }) === pair.pem('PKCS8')).toBe(true);
      expect(object.export({ format: 'pem', type: 'sec1' }) === pair.pem('SEC1')).toBe(true);
    }
  });

  test('no two keys are alike', () => {
    const keys = Array.from({ length: 200 }, () => generateEcKeyPair(size).spki.toString('hex'));
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('keys of node:crypto are recognised, and their public half is computed', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: `P-${size}` });
    for (const type of ['pkcs8', 'sec1'] as const) {
      const found = recogniseEcKeyPair(type, privateKey.export({ format: 'der', type }));
      if (found === undefined || found === 'mismatch') throw new Error(`not recognised: ${found}`);
      expect(found.spec).toEqual({ algorithm: 'ECDSA', size });
      expect(found.spki.equals(publicKey.export({ format: 'der', type: 'spki' }))).toBe(true);
    }
  });

  test('a public half of another key is a mismatch', () => {
    const [one, other] = [generateEcKeyPair(size).der('SEC1'), generateEcKeyPair(size).der('SEC1')];
    const point = 1 + (size / 8) * 2;
    const mixed = Buffer.concat([one.subarray(0, -point), other.subarray(-point)]);
    expect(recogniseEcKeyPair('sec1', mixed)).toBe('mismatch');
  });
});

test('a scalar is drawn until it is one: neither 0 nor the order or more', () => {
  const order = Buffer.from('0005', 'hex');
  const draws = ['0005', 'ffff', '0000', '0006', '0004'].map((text) => Buffer.from(text, 'hex'));
  expect(drawScalar(order, () => draws.shift() ?? Buffer.alloc(0)).toString('hex')).toBe('0004');
});

test('leading zeros of a private key are kept: one key in 256 has one', () => {
  const wanted = 4;
  let found = 0;
  for (let i = 0; i < 20_000 && found < wanted; i++) {
    const pair = generateEcKeyPair(256);
    if (pair.der('SEC1')[7] !== 0) continue;
    found++;
    expect(createPublicKey(pair.privateKey).export({ format: 'der', type: 'spki' }).equals(pair.spki)).toBe(true);
  }
  expect(found).toBe(wanted);
});

test('what is written in another way is left to others', () => {
  expect(recogniseEcKeyPair('pkcs8', Buffer.alloc(0))).toBeUndefined();
  expect(recogniseEcKeyPair('pkcs8', generateEcKeyPair(256).der('SEC1'))).toBeUndefined();
  const zero = Buffer.from(generateEcKeyPair(256).der('SEC1'));
  zero.fill(0, 7, 39);
  expect(recogniseEcKeyPair('sec1', zero)).toBeUndefined();
});
