/**
 * Which issuing CAs may be removed with their keys. Pure. Removal cannot be undone, and a wall clock that is far ahead makes good CAs look
 * expired: a clock alone never decides.
 */
import type { Generation } from './generation.ts';

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
      number > old.number && notBefore.getTime() <= at && notAfter.getTime() > old.certificate.notAfter.getTime(),
  );
  return successors.some(({ certificate }) => certificate.notBefore.getTime() < end) || successors.length >= 2;
}
