/**
 * When the coming end of a CA is told (ms): a tenth of its life before it at the latest, and while what is signed under it can still have its whole
 * duration. Pure.
 * @param seconds the longest duration that is asked for under it.
 */
export function warnOfEndAt(notBefore: Date, notAfter: Date, seconds: number): number {
  const life = notAfter.getTime() - notBefore.getTime();
  return Math.ceil(notAfter.getTime() - Math.max(life / 10, seconds * 1000));
}
