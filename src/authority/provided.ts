/**
 * An authority that the user brings along: a CA, or an intermediate with its chain, in a Secret of the operator's namespace. Pure; says
 * exactly which part of the Secret is wrong, since nobody but its owner can mend it.
 */
import {
  type IssuingCa,
  keyMatches,
  loadKeyPair,
  type ParsedCertificate,
  parseCertificates,
  verifyChain,
} from '../pki/index.ts';
import { readPart, UnreadablePart } from './parts.ts';

export interface ProvidedCa {
  /** Its chain goes up to the root, so that name constraints and usages of all of them are heeded. */
  readonly issuer: IssuingCa;
  /** Between the issuer and its root, lowest first: what belongs into tls.crt behind the issuer. */
  readonly intermediates: readonly ParsedCertificate[];
  /** Everything that belongs into ca.crt. */
  readonly roots: readonly ParsedCertificate[];
  /** The one of them that the issuer chains to. */
  readonly root: ParsedCertificate;
  /** When the first of issuer, intermediates and root ends (ms). */
  readonly notAfter: number;
}

export type ProvidedResult =
  | { readonly ca: ProvidedCa }
  | {
      readonly problem: {
        readonly reason:
          | 'SecretNotFound'
          | 'SecretIncomplete'
          | 'SecretUnreadable'
          | 'KeyMismatch'
          | 'NotACa'
          | 'ChainBroken'
          | 'Expired';
        readonly message: string;
      };
      /** When one of its certificates begins, which may mend it (ms). */
      readonly begins?: number;
    };

/**
 * @param data text (not base64) of tls.crt: the CA and what is above it, tls.key, and ca.crt: the roots. Without ca.crt a self-signed
 *   tls.crt is its own root.
 */
export function readProvided(
  secretName: string,
  data: Readonly<Record<string, string>> | undefined,
  now: number,
): ProvidedResult {
  const problem = (reason: Extract<ProvidedResult, { problem: unknown }>['problem']['reason'], message: string) => ({
    problem: { reason, message: `Secret "${secretName}" in the operator’s namespace ${message}` },
  });
  if (data === undefined)
    return problem('SecretNotFound', 'does not exist: create it with tls.crt, tls.key and ca.crt of your CA');
  const missing = ['tls.crt', 'tls.key'].filter((key) => (data[key] ?? '') === '');
  if (missing.length > 0) {
    return problem(
      'SecretIncomplete',
      `lacks ${missing.join(' and ')}: put the certificate of your CA and its key there`,
    );
  }
  try {
    const [certificate, ...above] = readPart('tls.crt', () => parseCertificates(data['tls.crt'] ?? ''));
    if (certificate === undefined)
      return problem('SecretIncomplete', 'has no certificate in tls.crt: put your CA’s there, and those above it');
    const key = readPart('tls.key', () => loadKeyPair(data['tls.key'] ?? ''));
    if (!keyMatches(key, certificate)) {
      return problem(
        'KeyMismatch',
        'has a tls.key that does not belong to the first certificate in tls.crt: put the certificate of the CA that signs first, and its key into tls.key',
      );
    }
    if (!certificate.isCa || !canSign(certificate)) {
      return problem(
        'NotACa',
        `has a first certificate (${certificate.subject}) that may not sign: put the certificate of a CA first, one with CA:TRUE and, if it has a key usage, keyCertSign in it`,
      );
    }
    const roots =
      (data['ca.crt'] ?? '') === ''
        ? [certificate, ...above].filter(isSelfSigned)
        : readPart('ca.crt', () => parseCertificates(data['ca.crt'] ?? ''));
    if (roots.length === 0) {
      return problem('ChainBroken', 'holds an intermediate and no root: put the root certificate into ca.crt');
    }
    const expired = [certificate, ...above].find(({ notAfter }) => notAfter.getTime() <= now);
    if (expired !== undefined) {
      return problem(
        'Expired',
        `has a certificate (${expired.subject}) that expired at ${expired.notAfter.toISOString()}: put its renewed certificate in its place`,
      );
    }
    const verdict = verifyChain({ leaf: certificate, intermediates: above, roots, at: new Date(now) });
    if (!verdict.ok) {
      const broken = problem(
        'ChainBroken',
        `has a tls.crt that does not chain to ca.crt: ${verdict.message}. Put every certificate between your CA and its root into tls.crt, and the root into ca.crt`,
      );
      const begins = [certificate, ...above, ...roots].map(({ notBefore }) => notBefore.getTime());
      const next = Math.min(...begins.filter((time) => time > now));
      return Number.isFinite(next) ? { ...broken, begins: next } : broken;
    }
    const { chain } = verdict;
    return {
      ca: {
        issuer: { certificate, privateKey: key.privateKey, chain },
        intermediates: chain.slice(1).filter((ca) => !isSelfSigned(ca)),
        roots,
        root: chain.at(-1) ?? certificate,
        notAfter: Math.min(...chain.map(({ notAfter }) => notAfter.getTime())),
      },
    };
  } catch (error) {
    if (!(error instanceof UnreadablePart)) throw error;
    return problem(
      'SecretUnreadable',
      `cannot be read: ${error.message}. Put PEM there, as openssl writes it, and no password on the key`,
    );
  }
}

function isSelfSigned({ selfSigned }: ParsedCertificate): boolean {
  return selfSigned;
}

function canSign({ keyUsage }: ParsedCertificate): boolean {
  return keyUsage.size === 0 || keyUsage.has('keyCertSign');
}
