/** Clocks of peers disagree: a certificate that begins "now" is refused by whoever runs behind. Five minutes is what Kubernetes' own signer allows. */
const MAX_BACKDATE_SECONDS = 300;

/**
 * How far notBefore lies before issuance, in seconds: min(5 min, duration/10), so that short-lived certificates stay short-lived. One rule for CAs
 * and leaves: since a leaf is shorter than its CA, it never begins before it.
 */
export function backdateSeconds(durationSeconds: number): number {
  return Math.min(MAX_BACKDATE_SECONDS, Math.floor(durationSeconds / 10));
}

/** When a CA of our own making was issued (ms): its life is its duration and how far it was backdated. */
export function issuedAt(notBefore: Date, notAfter: Date): number {
  const life = (notAfter.getTime() - notBefore.getTime()) / 1000;
  return notBefore.getTime() + Math.min(MAX_BACKDATE_SECONDS, Math.floor(life / 11)) * 1000;
}
