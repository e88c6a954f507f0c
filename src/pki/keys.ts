// Making key pairs, and finding out whether a key and a certificate belong together.

import {
  createPublicKey,
  generateKeyPair as generateKeyPairAsync,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { generateEcKeyPair } from './ecKeys.ts';
import { type KeyPair, LazyKeyPair } from './keyPair.ts';
import { type KeySpec, resolveKeySpec } from './keySpec.ts';
import { Turns } from './turns.ts';

/**
 * A fresh key pair. ECDSA and Ed25519 take tens of microseconds and are made at once; RSA takes up to seconds and is made on the thread pool, two
 * at a time in the whole process, so that neither the event loop nor other users of the pool (DNS, files) starve.
 * @throws PkiError InvalidKeySpec
 */
export async function generateKeyPair(spec: KeySpec): Promise<KeyPair> {
  const resolved = resolveKeySpec(spec);
  switch (resolved.algorithm) {
    case 'ECDSA':
      return generateEcKeyPair(resolved.size === 384 ? 384 : 256);
    case 'Ed25519':
      return generateEd25519KeyPair();
    case 'RSA':
      return await generateRsaKeyPair(resolved.size ?? 2048);
  }
}

function generateEd25519KeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  });
  return new LazyKeyPair({ algorithm: 'Ed25519' }, publicKey, { PKCS8: privateKey });
}

const generateOnThreadPool = promisify(generateKeyPairAsync);
const rsaTurns = new Turns(2);

async function generateRsaKeyPair(bits: number): Promise<KeyPair> {
  const { publicKey, privateKey } = await rsaTurns.take(() =>
    generateOnThreadPool('rsa', {
      modulusLength: bits,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    }),
  );
  return new LazyKeyPair({ algorithm: 'RSA', size: bits }, publicKey, { PKCS8: privateKey });
}

// ---------------------------------------------------------------- comparing

/** Whether a certificate (or anything with its SubjectPublicKeyInfo) is for this key. */
export function keyMatches(
  key: KeyPair | KeyObject,
  certificate: { readonly spki: Buffer; readonly publicKey: KeyObject },
): boolean {
  const spki = 'spki' in key ? key.spki : publicKeyDer(key);
  if (spki.equals(certificate.spki)) return true;
  try {
    return samePublicKey(createPublicKey({ key: spki, format: 'der', type: 'spki' }), certificate.publicKey);
  } catch {
    // The certificate's key cannot be read, or is of a kind that none of ours is.
    return false;
  }
}

const publicKeyDer = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' });

/**
 * Compared by their numbers, since one key may be encoded in two ways (compressed points). Not by KeyObject.equals: with keys of different kinds
 * it leaves an error in OpenSSL's queue (Node 24), and the next createPrivateKey, of a good key, throws it.
 */
function samePublicKey(a: KeyObject, b: KeyObject): boolean {
  if (a.asymmetricKeyType !== b.asymmetricKeyType) return false;
  const [left, right] = [a.export({ format: 'jwk' }), b.export({ format: 'jwk' })];
  return (['kty', 'crv', 'x', 'y', 'n', 'e'] as const).every((field) => left[field] === right[field]);
}
