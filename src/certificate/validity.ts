/**
 * The times of a leaf certificate: when it begins and ends, and when it is renewed. Pure; all instants are wall-clock
 * milliseconds, truncated to whole seconds where they enter a certificate (X.509 has no fractions, RFC 5280 §4.1.2.5).
 */
import { hash } from 'node:crypto';
import { leastUseSeconds } from '../api/index.ts';
import { backdateSeconds } from '../authority/index.ts';

const SECOND = 1000;

export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Validity of a certificate issued at `issuedAt` (ms). `durationSeconds` counts from issuance to notAfter; it is bounded by
 * the authority's maximum, and notAfter never passes the issuing CA's: a leaf that outlives its CA is dead weight that looks alive.
 */
export function validityAt(
  issuedAt: number,
  durationSeconds: number,
  limits: { maxDurationSeconds: number; issuerNotAfter: number },
): Validity {
  const duration = Math.min(durationSeconds, limits.maxDurationSeconds);
  const issued = Math.floor(issuedAt / SECOND) * SECOND;
  return {
    notBefore: issued - backdateSeconds(duration) * SECOND,
    notAfter: Math.min(issued + duration * SECOND, limits.issuerNotAfter),
  };
}

/**
 * Whether a validity found in a certificate is one that `validityAt` gives for these limits at some time of issuance.
 * The time of issuance is recovered from notBefore, so a changed `duration` shows without any note kept elsewhere.
 */
export function isValidityFor(
  found: Validity,
  durationSeconds: number,
  limits: { maxDurationSeconds: number; issuerNotAfter: number },
): boolean {
  const issuedAt = issuedAtOf(found, Math.min(durationSeconds, limits.maxDurationSeconds));
  const expected = validityAt(issuedAt, durationSeconds, limits);
  return expected.notAfter === found.notAfter;
}

/** When a certificate with this validity and duration was issued (ms). */
export function issuedAtOf(found: Validity, durationSeconds: number): number {
  return found.notBefore + backdateSeconds(durationSeconds) * SECOND;
}

/**
 * When to renew: notAfter − renewBefore (default a third of the duration), less a spread of at most duration/20 that is a
 * function of `identity` alone. Without it, certificates that were made together stay together for ever and renew as one
 * storm; were it random, each restart would move every date.
 *
 * A renewBefore that leaves next to nothing of the life, which the authority may have shortened, would issue for ever: then the last third is used.
 */
export function renewalTime(
  validity: Validity,
  spec: { durationSeconds: number; renewBeforeSeconds?: number | undefined },
  identity: string,
): number {
  const issuedAt = issuedAtOf(validity, spec.durationSeconds);
  const life = Math.max(0, validity.notAfter - issuedAt);
  const asked = spec.renewBeforeSeconds === undefined ? life / 3 : spec.renewBeforeSeconds * SECOND;
  const renewBefore = life - asked >= leastUseSeconds(life / SECOND) * SECOND ? asked : life / 3;
  const spread = (life / 20) * fraction(identity);
  // The spread eats into the time before renewal, never into renewBefore, and never reaches back to issuance.
  const earliest = issuedAt + life / 10;
  return Math.floor(
    Math.max(Math.min(earliest, validity.notAfter - renewBefore), validity.notAfter - renewBefore - spread),
  );
}

/** A number in [0, 1) that depends on nothing but the text. */
export function fraction(text: string): number {
  return hash('sha256', text, 'buffer').readUInt32BE(0) / 2 ** 32;
}
