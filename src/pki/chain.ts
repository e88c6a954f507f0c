// Whether a certificate leads to a root: the checks of RFC 5280 §6 as Go and OpenSSL make them.

import { checkNameConstraints } from './constraints.ts';
import { isSignedBy, type ParsedCertificate } from './parse.ts';
import { strongSignatures } from './signature.ts';

export type ChainReason =
  | 'IssuerUnknown'
  | 'SignatureInvalid'
  | 'SignatureWeak'
  | 'NotCa'
  | 'PathTooLong'
  | 'NotYetValid'
  | 'Expired'
  | 'NameNotPermitted'
  | 'UsageNotPermitted'
  | 'CriticalExtensionUnknown'
  | 'TooComplex';

export type ChainResult =
  | { readonly ok: true /** Leaf first, root last. */; readonly chain: ParsedCertificate[] }
  | { readonly ok: false; readonly reason: ChainReason; readonly message: string };

export interface ChainQuery {
  readonly leaf: ParsedCertificate;
  /** In any order; superfluous ones do no harm. */
  readonly intermediates: readonly ParsedCertificate[];
  /** Trusted as they are. */
  readonly roots: readonly ParsedCertificate[];
  /** When all of the chain shall be valid; not checked if absent. */
  readonly at?: Date;
}

const MAX_CHAIN = 8;
const MAX_SIGNATURE_CHECKS = 64;

/**
 * Looks for a chain from `leaf` over `intermediates` to one of `roots`. Of several failures it reports the one on the way that led furthest.
 * Never throws; the work is bounded, whatever the certificates.
 */
export function verifyChain(query: ChainQuery): ChainResult {
  const { leaf, roots } = query;
  const search = new Search(query);
  if (roots.some((root) => root.der.equals(leaf.der))) {
    const problem = problemOf(leaf, query.at);
    return problem === undefined ? { ok: true, chain: [leaf] } : { ok: false, ...problem };
  }
  const chain = search.from([leaf]);
  return chain === undefined ? { ok: false, ...search.failure } : { ok: true, chain };
}

interface Failure {
  readonly reason: ChainReason;
  readonly message: string;
}

class Search {
  readonly #query: ChainQuery;
  #checksLeft = MAX_SIGNATURE_CHECKS;
  #failure: Failure = { reason: 'IssuerUnknown', message: 'no chain' };
  #failureDepth = -1;

  constructor(query: ChainQuery) {
    this.#query = query;
  }

  get failure(): Failure {
    return this.#failure;
  }

  /** Depth first; the first chain that passes everything. */
  from(path: readonly ParsedCertificate[]): ParsedCertificate[] | undefined {
    const current = path.at(-1);
    if (current === undefined) return undefined;
    const problem = problemOf(current, this.#query.at);
    if (problem !== undefined) return this.#fail(path, problem);
    const candidates = this.#issuersOf(current, path);
    if (candidates.length === 0) {
      return this.#fail(path, {
        reason: 'IssuerUnknown',
        message: `no certificate for the issuer ${current.issuer} of ${nameOf(current)}`,
      });
    }
    if (path.length >= MAX_CHAIN)
      return this.#fail(path, { reason: 'PathTooLong', message: `more than ${MAX_CHAIN} certificates in the chain` });
    for (const { ca, isRoot } of candidates) {
      const next = [...path, ca];
      const failure = this.#stepProblem(current, ca, path) ?? (isRoot ? this.#chainProblem(next) : undefined);
      if (failure !== undefined) {
        this.#fail(path, failure);
        continue;
      }
      const found = isRoot ? next : this.from(next);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #issuersOf(
    current: ParsedCertificate,
    path: readonly ParsedCertificate[],
  ): { ca: ParsedCertificate; isRoot: boolean }[] {
    const issued = (ca: ParsedCertificate) =>
      ca.subjectDer.equals(current.issuerDer) && !path.some((seen) => seen.der.equals(ca.der));
    const { roots, intermediates } = this.#query;
    const all = [
      ...roots.filter(issued).map((ca) => ({ ca, isRoot: true })),
      ...intermediates.filter(issued).map((ca) => ({ ca, isRoot: false })),
    ];
    // After a rotation several CAs may have one name: the one with the right key identifier is tried first, none is ruled out by it.
    const fits = (ca: ParsedCertificate) =>
      current.authorityKeyId !== undefined && ca.subjectKeyId?.equals(current.authorityKeyId) === true;
    return [...all.filter(({ ca }) => fits(ca)), ...all.filter(({ ca }) => !fits(ca))];
  }

  #stepProblem(
    current: ParsedCertificate,
    ca: ParsedCertificate,
    path: readonly ParsedCertificate[],
  ): Failure | undefined {
    if (!ca.isCa || (ca.keyUsage.size > 0 && !ca.keyUsage.has('keyCertSign'))) {
      return { reason: 'NotCa', message: `${nameOf(ca)} is not allowed to sign certificates` };
    }
    // The RFC leaves self-issued CAs out of this count, Go counts them.
    const below = path.length - 1;
    if (ca.pathLength !== undefined && below > ca.pathLength) {
      return {
        reason: 'PathTooLong',
        message: `${nameOf(ca)} allows ${ca.pathLength} CAs below it, there are ${below}`,
      };
    }
    if (!strongSignatures.has(current.signatureAlgorithm)) {
      return {
        reason: 'SignatureWeak',
        message: `${nameOf(current)} is signed with an algorithm that verifiers refuse (${current.signatureAlgorithm})`,
      };
    }
    if (this.#checksLeft-- <= 0) return { reason: 'TooComplex', message: 'too many possible chains' };
    if (!isSignedBy(current, ca)) {
      return {
        reason: 'SignatureInvalid',
        message: `the signature of ${nameOf(current)} is not by the key of ${nameOf(ca)}`,
      };
    }
    return undefined;
  }

  /** What only a complete chain shows, besides the root's own validity. */
  #chainProblem(chain: readonly ParsedCertificate[]): Failure | undefined {
    const root = chain.at(-1);
    const rootProblem = root === undefined ? undefined : problemOf(root, this.#query.at);
    return rootProblem ?? usageProblem(chain) ?? nameProblem(chain);
  }

  #fail(path: readonly ParsedCertificate[], failure: Failure): undefined {
    if (path.length > this.#failureDepth) {
      this.#failure = failure;
      this.#failureDepth = path.length;
    }
    return undefined;
  }
}

function problemOf(certificate: ParsedCertificate, at: Date | undefined): Failure | undefined {
  if (certificate.unknownCritical.length > 0) {
    return {
      reason: 'CriticalExtensionUnknown',
      message: `${nameOf(certificate)} has critical extensions that verifiers do not know: ${certificate.unknownCritical.join(', ')}`,
    };
  }
  if (at === undefined) return undefined;
  if (at < certificate.notBefore)
    return {
      reason: 'NotYetValid',
      message: `${nameOf(certificate)} is valid from ${certificate.notBefore.toISOString()}`,
    };
  if (at > certificate.notAfter)
    return { reason: 'Expired', message: `${nameOf(certificate)} expired at ${certificate.notAfter.toISOString()}` };
  return undefined;
}

/** Verifiers intersect the extended key usages of a chain; a purpose that gets lost is lost for the leaf. */
function usageProblem([leaf, ...cas]: readonly ParsedCertificate[]): Failure | undefined {
  for (const purpose of leaf?.extendedKeyUsage ?? []) {
    const forbidding = cas.find(
      ({ extendedKeyUsage: allowed }) => allowed.size > 0 && !allowed.has(purpose) && !allowed.has('any'),
    );
    if (forbidding !== undefined)
      return { reason: 'UsageNotPermitted', message: `${nameOf(forbidding)} does not allow ${purpose}` };
  }
  return undefined;
}

function nameProblem(chain: readonly ParsedCertificate[]): Failure | undefined {
  for (const [i, certificate] of chain.entries()) {
    // Self-issued CAs are exempt (RFC 5280 §6.1.3), the leaf never is.
    if (i > 0 && certificate.subjectDer.equals(certificate.issuerDer)) continue;
    const [violation] = checkNameConstraints(certificate, chain.slice(i + 1));
    if (violation !== undefined) return { reason: 'NameNotPermitted', message: violation.message };
  }
  return undefined;
}

const nameOf = (certificate: ParsedCertificate): string =>
  certificate.subject === '' ? `certificate ${certificate.serialNumber}` : certificate.subject;
