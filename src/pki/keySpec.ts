// Which keys there are: a specification from outside in, one that `generateKeyPair` surely understands out.

import { PkiError, quote } from './errors.ts';

export type KeyAlgorithm = 'ECDSA' | 'RSA' | 'Ed25519';
/** PKCS1 only for RSA, SEC1 only for ECDSA. */
export type KeyEncoding = 'PKCS8' | 'PKCS1' | 'SEC1';

export interface KeySpec {
  readonly algorithm: KeyAlgorithm;
  /** Bits. ECDSA 256 (default) or 384; RSA 2048 (default) to 4096; Ed25519 has none. */
  readonly size?: number | undefined;
}

/** A KeySpec with the default size filled in; equal specs have equal fields. */
export interface ResolvedKeySpec {
  readonly algorithm: KeyAlgorithm;
  readonly size?: number;
}

/** @throws PkiError InvalidKeySpec */
export function resolveKeySpec(spec: KeySpec): ResolvedKeySpec {
  const { algorithm, size } = spec;
  switch (algorithm) {
    case 'ECDSA':
      if (size === undefined || size === 256 || size === 384) return { algorithm, size: size ?? 256 };
      throw new PkiError('InvalidKeySpec', `an ECDSA key of ${size} bits is not supported`);
    case 'RSA':
      if (size === undefined || isRsaSize(size)) return { algorithm, size: size ?? 2048 };
      throw new PkiError('InvalidKeySpec', `an RSA key of ${size} bits is not supported`);
    case 'Ed25519':
      if (size === undefined) return { algorithm };
      throw new PkiError('InvalidKeySpec', 'an Ed25519 key has no size to choose');
    default:
      throw new PkiError('InvalidKeySpec', `${quote(String(algorithm))} is not a key algorithm`);
  }
}

export const isRsaSize = (size: number): boolean => size >= 2048 && size <= 4096 && size % 8 === 0;

export const sameKeySpec = (a: ResolvedKeySpec, b: ResolvedKeySpec): boolean =>
  a.algorithm === b.algorithm && a.size === b.size;

/** How a key is named in messages and digests: 'ECDSA 256', 'RSA 2048', 'Ed25519'. */
export const keySpecText = (spec: ResolvedKeySpec): string =>
  spec.size === undefined ? spec.algorithm : `${spec.algorithm} ${spec.size}`;

/** @throws PkiError InvalidKeyEncoding */
export function assertKeyEncoding(algorithm: KeyAlgorithm, encoding: KeyEncoding): void {
  if (encoding === 'PKCS8') return;
  if (encoding === 'PKCS1' && algorithm === 'RSA') return;
  if (encoding === 'SEC1' && algorithm === 'ECDSA') return;
  throw new PkiError('InvalidKeyEncoding', `${quote(String(encoding))} cannot hold an ${algorithm} key`);
}
