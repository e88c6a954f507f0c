// Private keys that somebody brings along. Input is hostile, and no message may tell anything of what is inside.

import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { assertStrictDer, tag } from './der.ts';
import { ecKeyPairOf, recogniseEcKeyPair } from './ecKeys.ts';
import { PkiError, quote } from './errors.ts';
import { type KeyPair, LazyKeyPair } from './keyPair.ts';
import { isRsaSize, type ResolvedKeySpec } from './keySpec.ts';
import { decodePem, type PemBlock } from './pem.ts';

const MAX_KEY_CHARACTERS = 32 * 1024;

/**
 * The key pair of a PEM text that holds one unencrypted private key in PKCS#8, PKCS#1 or SEC1. That its two halves belong together is checked:
 * OpenSSL believes the public half that a file carries, and with a wrong one key and certificate would match and every handshake fail.
 * @throws PkiError, nothing else
 */
export function loadKeyPair(pem: string | Buffer): KeyPair {
  const { label, der } = privateKeyBlock(pem);
  const type = derTypes[label];
  if (type === undefined)
    throw new PkiError('InvalidPrivateKey', `a PEM block ${quote(label)} instead of a private key`);
  try {
    assertStrictDer(der);
    if (structureOf(der) !== type)
      throw new PkiError('InvalidPrivateKey', `a PEM block ${quote(label)} with something else inside`);
    const known = type === 'pkcs1' ? undefined : recogniseEcKeyPair(type, der);
    return known === undefined ? importKeyPair(der, type) : belonging(known);
  } catch (error) {
    if (error instanceof PkiError && error.reason !== 'InvalidDer') throw error;
    throw new PkiError('InvalidPrivateKey', `the private key (${label}) cannot be read`);
  }
}

type KeyStructure = 'pkcs8' | 'pkcs1' | 'sec1';
const derTypes: Readonly<Record<string, KeyStructure>> = {
  'PRIVATE KEY': 'pkcs8',
  'RSA PRIVATE KEY': 'pkcs1',
  'EC PRIVATE KEY': 'sec1',
};

/** Told by what follows the version: an algorithm, the modulus, the key. OpenSSL does not mind the label; other programs do. */
function structureOf(der: Buffer): KeyStructure | undefined {
  const lengthOfLength = (der[1] ?? 0) < 0x80 ? 0 : (der[1] ?? 0) & 0x7f;
  const version = 2 + lengthOfLength;
  switch (der[version + 2 + (der[version + 1] ?? 0)]) {
    case tag.sequence:
      return 'pkcs8';
    case tag.integer:
      return 'pkcs1';
    case tag.octetString:
      return 'sec1';
    default:
      return undefined;
  }
}

/** `openssl ecparam -genkey` writes a block of curve parameters before the key. */
function privateKeyBlock(pem: string | Buffer): PemBlock {
  const all = decodePem(pem.toString('latin1'), 'the private key', MAX_KEY_CHARACTERS);
  const [block, ...more] = all.filter(({ label }) => label !== 'EC PARAMETERS');
  if (block === undefined) throw new PkiError('InvalidPrivateKey', 'no PEM block with a private key');
  if (more.length > 0)
    throw new PkiError('InvalidPrivateKey', `${more.length + 1} PEM blocks instead of one private key`);
  return block;
}

function belonging<T>(found: T | 'mismatch'): T {
  if (found !== 'mismatch') return found;
  throw new PkiError('InvalidPrivateKey', 'the private key and the public key stored with it do not belong together');
}

/** Through node:crypto, which understands every form. */
function importKeyPair(der: Buffer, type: KeyStructure): KeyPair {
  const key = createPrivateKey({ key: der, format: 'der', type });
  const spec = specOf(key);
  if (spec.algorithm === 'ECDSA') return rebuildEcKeyPair(spec.size === 384 ? 384 : 256, key.export({ format: 'jwk' }));
  if (spec.algorithm === 'RSA' && !isConsistentRsaKey(key.export({ format: 'jwk' })))
    return belonging<never>('mismatch');
  return new LazyKeyPair(spec, createPublicKey(key).export({ format: 'der', type: 'spki' }), key);
}

function rebuildEcKeyPair(size: 256 | 384, { d = '', x = '', y = '' }: JsonWebKey): KeyPair {
  const pair = ecKeyPairOf(size, Buffer.from(d, 'base64url'));
  const point = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return belonging(pair?.spki.subarray(-point.length).equals(point) ? pair : 'mismatch');
}

function specOf(key: KeyObject): ResolvedKeySpec {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (namedCurve === 'prime256v1') return { algorithm: 'ECDSA', size: 256 };
      if (namedCurve === 'secp384r1') return { algorithm: 'ECDSA', size: 384 };
      throw new PkiError('UnsupportedKey', `an EC key on the curve ${quote(namedCurve)}`);
    case 'ed25519':
      return { algorithm: 'Ed25519' };
    case 'rsa':
      if (!isRsaSize(modulusLength)) throw new PkiError('UnsupportedKey', `an RSA key of ${modulusLength} bits`);
      // Go refuses larger exponents; a huge one makes every verification slow.
      if (publicExponent < 3n || publicExponent > 0x7fff_ffffn) {
        throw new PkiError('UnsupportedKey', 'an RSA key with a strange public exponent');
      }
      return { algorithm: 'RSA', size: modulusLength };
    default:
      throw new PkiError('UnsupportedKey', `a key of the kind ${quote(key.asymmetricKeyType ?? 'unknown')}`);
  }
}

/**
 * Whether the numbers of an RSA key fit each other (RFC 8017 §3.2): a hundredth of the time of signing something and verifying it. It does
 * not show that the factors are primes; whoever brings such a key breaks only their own handshakes.
 */
function isConsistentRsaKey(jwk: JsonWebKey): boolean {
  const number = (text: string | undefined) => BigInt(`0x0${Buffer.from(text ?? '', 'base64url').toString('hex')}`);
  const [n, e, d, p, q] = [number(jwk.n), number(jwk.e), number(jwk.d), number(jwk.p), number(jwk.q)];
  const [dp, dq, qi] = [number(jwk.dp), number(jwk.dq), number(jwk.qi)];
  if (p < 3n || q < 3n || p * q !== n) return false;
  const inverts = (exponent: bigint, prime: bigint) => (e * exponent) % (prime - 1n) === 1n;
  return inverts(d, p) && inverts(d, q) && inverts(dp, p) && inverts(dq, q) && (qi * q) % p === 1n;
}
