/**
 * What the rest of the operator sees of an authority: who signs, whom leaves must chain to, and what may be asked for. A snapshot,
 * replaced as a whole; private keys stay behind `issuer`.
 */

import { createHash } from 'node:crypto';
import type { CertificateAuthoritySpec } from '../api/index.ts';
import type { IssuingCa, ParsedCertificate } from '../pki/index.ts';

export interface KnownIssuer {
  /** ms */
  readonly notAfter: number;
  /** The intermediates behind a leaf of this CA, as they stand in tls.crt; '' where a root signs. */
  readonly chainPem: string;
  /** SHA-256 of the CA certificate, lower-case hex. */
  readonly fingerprint: string;
}

export interface AuthorityView {
  readonly name: string;
  /** Why the object cannot be read: then `spec` says nothing, and nothing can be told of what is asked for. */
  readonly unreadable?: string;
  readonly spec: CertificateAuthoritySpec;
  readonly maxDurationSeconds: number;
  /** Absent while nothing can be signed; then `notReady` says why. */
  readonly issuer: IssuingCa | undefined;
  readonly notReady: { readonly reason: string; readonly message: string } | undefined;
  /** By `caIdOf`. */
  readonly knownIssuers: ReadonlyMap<string, KnownIssuer>;
  /**
   * The CAs, by `caIdOf`, that leaves were seen to hang on when the authority was looked at: one of these that is not known is not the authority's. Of
   * any other nothing can be told yet. Absent where leaves tell nothing: what is not known is not the authority's. No part of `digest`.
   */
  readonly soughtIssuers?: ReadonlySet<string> | undefined;
  /** The roots, as they stand in ca.crt; '' while unknown. */
  readonly bundlePem: string;
  readonly certificates: readonly { readonly role: 'Root' | 'Issuing'; readonly certificate: ParsedCertificate }[];
  /** When the issuing CA is renewed, ms; undefined where that is not ours to do. */
  readonly renewalTime: number | undefined;
  /** Equal for two views that give the same answers: nothing needs to be looked at again. */
  readonly digest: string;
}

/** Leaf and intermediates go into tls.crt, never a self-signed certificate: peers have the root, or they would not trust it. */
export function chainPemOf(issuer: ParsedCertificate, above: readonly ParsedCertificate[]): string {
  return [issuer, ...above]
    .filter(({ selfSigned }) => !selfSigned)
    .map(({ pem }) => pem)
    .join('');
}

/** The roots in a fixed order, each once: the order of LIST answers must never rewrite 50,000 Secrets. */
export function bundlePemOf(roots: readonly ParsedCertificate[]): string {
  const byFingerprint = new Map(roots.map((root) => [root.fingerprint, root]));
  return [...byFingerprint.values()]
    .sort((a, b) => a.notBefore.getTime() - b.notBefore.getTime() || (a.fingerprint < b.fingerprint ? -1 : 1))
    .map(({ pem }) => pem)
    .join('');
}

const caIds = new WeakMap<ParsedCertificate, string>();

/**
 * What a leaf hangs on: the CA's name, key and key identifier. Two certificates of a CA that share it can stand in for each other behind a leaf;
 * if any of the three differs, some verifier refuses. The key itself is in it, since anybody can write any identifier into a certificate.
 */
export function caIdOf(ca: ParsedCertificate): string {
  const known = caIds.get(ca);
  if (known !== undefined) return known;
  const hash = createHash('sha256').update(ca.subjectDer).update(ca.spki);
  if (ca.subjectKeyId !== undefined) hash.update(ca.subjectKeyId);
  const id = hash.digest().toString('base64url', 0, 16);
  caIds.set(ca, id);
  return id;
}

/** Views by authority name, with subscribers that hear of a change in any answer. */
export class AuthorityCatalogue {
  readonly #views = new Map<string, AuthorityView>();
  readonly #subscribers = new Set<(name: string) => void>();

  get(name: string): AuthorityView | undefined {
    return this.#views.get(name);
  }

  all(): readonly AuthorityView[] {
    return [...this.#views.values()];
  }

  set(view: AuthorityView): void {
    const before = this.#views.get(view.name);
    this.#views.set(view.name, view);
    if (before?.digest !== view.digest) this.#announce(view.name);
  }

  remove(name: string): void {
    if (this.#views.delete(name)) this.#announce(name);
  }

  subscribe(subscriber: (name: string) => void): void {
    this.#subscribers.add(subscriber);
  }

  #announce(name: string): void {
    for (const subscriber of this.#subscribers) subscriber(name);
  }
}
