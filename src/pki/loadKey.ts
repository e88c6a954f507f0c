// Private keys that somebody brings along. Input is hostile, and no message may tell anything of what is inside.

import { createECDH, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { assertStrictDer } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { isRsaSize, type ResolvedKeySpec } from './keySpec.ts';
import { DerKeyPair, type KeyPair } from './keys.ts';
import { decodePem, type PemBlock } from './pem.ts';

const MAX_KEY_PEM_BYTES = 32 * 1024;
const derTypes: Readonly<Record<string, 'pkcs8' | 'pkcs1' | 'sec1'>> = {
  'PRIVATE KEY': 'pkcs8',
  'RSA PRIVATE KEY': 'pkcs1',
  'EC PRIVATE KEY': 'sec1',
};

/**
 * The key pair of a PEM text that holds one unencrypted private key in PKCS#8, PKCS#1 or SEC1. Its public half is computed or tried out, not believed.
 * @throws PkiError, nothing else
 */
export function loadKeyPair(pem: string | Buffer): KeyPair {
  const block = privateKeyBlock(pem);
  const type = derTypes[block.label];
  if (type === undefined)
    throw new PkiError('InvalidPrivateKey', `the private key is a PEM block ${quote(block.label)}`);
  try {
    assertStrictDer(block.der);
    const key = createPrivateKey({ key: block.der, format: 'der', type });
    const spec = specOf(key);
    if (!publicHalfBelongs(key, spec))
      throw new PkiError(
        'InvalidPrivateKey',
        'the private key and the public key stored with it do not belong together',
      );
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    return new DerKeyPair(spec, spki, { PKCS8: key.export({ format: 'der', type: 'pkcs8' }) }, key);
  } catch (error) {
    if (error instanceof PkiError && error.reason !== 'InvalidDer') throw error;
    throw new PkiError('InvalidPrivateKey', `the private key (${block.label}) cannot be read`);
  }
}

/** `openssl ecparam -genkey` writes a block of curve parameters before the key. */
function privateKeyBlock(pem: string | Buffer): PemBlock {
  const limits = { maxBytes: MAX_KEY_PEM_BYTES, maxBlocks: 4 };
  const blocks = decodePem(pem.toString('latin1'), 'the private key', limits).filter(
    ({ label }) => label !== 'EC PARAMETERS',
  );
  const [block, ...more] = blocks;
  if (block === undefined) throw new PkiError('InvalidPrivateKey', 'no PEM block with a private key');
  if (more.length > 0)
    throw new PkiError('InvalidPrivateKey', `${blocks.length} PEM blocks instead of one private key`);
  return block;
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
      if (publicExponent < 3n || publicExponent > 0x7fff_ffffn)
        throw new PkiError('UnsupportedKey', 'an RSA key with a strange public exponent');
      return { algorithm: 'RSA', size: modulusLength };
    default:
      throw new PkiError('UnsupportedKey', `a key of the kind ${quote(key.asymmetricKeyType ?? 'unknown')}`);
  }
}

/**
 * OpenSSL believes the public key that a file carries beside the private one. With a wrong one, key and certificate would match and every handshake fail.
 */
function publicHalfBelongs(key: KeyObject, spec: ResolvedKeySpec): boolean {
  if (spec.algorithm === 'ECDSA') {
    const { d = '', x = '', y = '' } = key.export({ format: 'jwk' });
    const ecdh = createECDH(spec.size === 384 ? 'secp384r1' : 'prime256v1');
    ecdh.setPrivateKey(Buffer.from(d, 'base64url'));
    return ecdh
      .getPublicKey()
      .equals(Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]));
  }
  if (spec.algorithm === 'Ed25519') return true; // nothing is stored, the public key is computed
  const probe = Buffer.from('probe');
  return verify('sha256', probe, createPublicKey(key), sign('sha256', probe, key));
}
