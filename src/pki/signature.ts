// How a CA signs: the algorithm follows from its key.

import { type KeyObject, sign, verify } from 'node:crypto';
import { encode, nil, objectIdentifier, sequence } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { oid } from './oids.ts';

export interface SignatureScheme {
  /** For node:crypto's sign; null where the algorithm hashes by itself. */
  readonly digest: string | null;
  /** DER of the AlgorithmIdentifier. */
  readonly algorithmDer: Buffer;
}

// RFC 5758 and 8410: no parameters; RFC 4055: NULL.
const schemes = {
  p256: { digest: 'sha256', algorithmDer: encode(sequence(objectIdentifier(oid.ecdsaWithSha256))) },
  p384: { digest: 'sha384', algorithmDer: encode(sequence(objectIdentifier(oid.ecdsaWithSha384))) },
  rsa: { digest: 'sha256', algorithmDer: encode(sequence(objectIdentifier(oid.sha256WithRsa), nil())) },
  ed25519: { digest: null, algorithmDer: encode(sequence(objectIdentifier(oid.ed25519))) },
} as const;

/** @throws PkiError UnsupportedKey */
export function signatureScheme(key: KeyObject): SignatureScheme {
  if (key.type !== 'private') throw new PkiError('UnsupportedKey', 'a public key cannot sign');
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return schemes.rsa;
    case 'ed25519':
      return schemes.ed25519;
    case 'ec':
      if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return schemes.p256;
      if (key.asymmetricKeyDetails?.namedCurve === 'secp384r1') return schemes.p384;
  }
  throw new PkiError('UnsupportedKey', `a CA key of the kind ${quote(key.asymmetricKeyType ?? 'unknown')}`);
}

export const signDer = (scheme: SignatureScheme, der: Buffer, key: KeyObject): Buffer => sign(scheme.digest, der, key);

export function hasSignature(scheme: SignatureScheme, der: Buffer, key: KeyObject, signature: Buffer): boolean {
  return verify(scheme.digest, der, key, signature);
}

/**
 * Signatures that today's verifiers accept. SHA-1 and MD5 are refused by Go, and by OpenSSL from security level 1.
 */
export const strongSignatures: ReadonlySet<string> = new Set([
  oid.sha256WithRsa,
  oid.sha384WithRsa,
  oid.sha512WithRsa,
  oid.rsaPss,
  oid.ecdsaWithSha256,
  oid.ecdsaWithSha384,
  oid.ecdsaWithSha512,
  oid.ed25519,
]);
