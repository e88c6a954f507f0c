// How a CA signs: the algorithm follows from its key.

import { type KeyObject, sign, verify } from 'node:crypto';
import { encode, nil, objectIdentifier, sequence } from './der.ts';
import { PkiError, quote } from './errors.ts';
import { oid } from './oids.ts';
import type { SignedParts } from './signedParts.ts';

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

/** How to verify a signature, by the OID of its algorithm: with which hash, by which kind of key. RSA-PSS is left to OpenSSL's own X.509 code. */
const verifiable: Readonly<Record<string, { readonly digest: string | null; readonly keyType: string } | undefined>> = {
  [oid.sha256WithRsa]: { digest: 'sha256', keyType: 'rsa' },
  [oid.sha384WithRsa]: { digest: 'sha384', keyType: 'rsa' },
  [oid.sha512WithRsa]: { digest: 'sha512', keyType: 'rsa' },
  [oid.ecdsaWithSha256]: { digest: 'sha256', keyType: 'ec' },
  [oid.ecdsaWithSha384]: { digest: 'sha384', keyType: 'ec' },
  [oid.ecdsaWithSha512]: { digest: 'sha512', keyType: 'ec' },
  [oid.ed25519]: { digest: null, keyType: 'ed25519' },
};

/** Whether `key` made the signature; undefined where the algorithm is none of the common ones. */
export function verifySignature(
  algorithm: string,
  { tbs, signature }: SignedParts,
  key: KeyObject,
): boolean | undefined {
  const known = verifiable[algorithm];
  if (known === undefined) return undefined;
  return key.asymmetricKeyType === known.keyType && verify(known.digest, tbs, key, signature);
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
