/**
 * Which issuing CAs may be removed with their keys. Pure. Removal cannot be undone, and a wall clock that is far ahead makes good CAs look
 * expired: a clock alone never decides.
 */
import { issuedAt } from './backdate.ts';
import type { Generation } from './generation.ts';
import type { Plan } from './lifecycle.ts';

/**
 * Whether no certificate of `old` can be alive at `at` (ms), and the course of events bears that out: it was superseded in its turn, while it was
 * alive. Where its successor was only made after its end, either nobody renewed it for that long, or a clock has jumped past its end and made
 * a successor at once; then it is kept until two successors have taken their turns.
 * @param able issuing CAs of the authority that have their key.
 */
export function isOver(old: Generation, able: readonly Generation[], at: number): boolean {
  const end = old.certificate.notAfter.getTime();
  if (end > at) return false;
  const successors = able.filter(
    ({ number, certificate: { notBefore, notAfter } }) =>
      number > old.number && notBefore.getTime() <= at && notAfter.getTime() > end,
  );
  return (
    successors.some(({ certificate: { notBefore, notAfter } }) => issuedAt(notBefore, notAfter) < end) ||
    successors.length >= 2
  );
}

/**
 * Issuing CAs that are to be marked as superseded. One with a higher number than the one that signs was made by a clock that ran ahead: its
 * turn is yet to come.
 */
export function superseded({ issuing, trustedIssuing }: Pick<Plan, 'issuing' | 'trustedIssuing'>): Generation[] {
  if (issuing === undefined) return [];
  return trustedIssuing.filter(({ number, phase }) => number < issuing.number && phase === 'Active');
}

/** Clocks that differ by less agree: ours is looked at a moment after the end of a CA, and the API server tells whole seconds. */
const AGREEMENT = 180_000;
const SOON = 60_000;
const LATER = 3_600_000;

/**
 * Our clock says that all of `kept` are over, the API server's (`serverNow`, ms, where it is known) does not.
 * @returns whether that is worth a warning, and after how long to compare again (ms).
 */
export function disagreement(
  kept: readonly Generation[],
  able: readonly Generation[],
  serverNow: number | undefined,
): { readonly alarming: boolean; readonly recheck: number } {
  const alarming = serverNow === undefined || kept.some((old) => !isOver(old, able, serverNow + AGREEMENT));
  return { alarming, recheck: alarming ? LATER : SOON };
}
