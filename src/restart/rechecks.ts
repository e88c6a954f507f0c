/** When to look at workloads again: nothing watches them, so that neither memory nor permissions grow with what a cluster runs. */
import type { Finding } from './reasons.ts';

const SECOND = 1000;

/** A restart that has just begun is nearly through in most cases; one that takes long is not worth many looks. */
const FIRST_LOOK = 2 * SECOND;
const SLOWEST_LOOK = 30 * SECOND;
/** Nobody tells us when somebody has put right what stands in the way. */
const FIRST_RETRY = 15 * SECOND;
const SLOWEST_RETRY = 600 * SECOND;
/** A turn is told of when it comes. */
const QUEUED = 600 * SECOND;

type Kind = 'moving' | 'stuck' | 'queued';

export class Rechecks {
  readonly #since = new Map<string, { readonly kind: Kind; readonly since: number }>();

  /** @returns when to look again (ms); ever later for as long as it is of one kind, however often it is looked at meanwhile. */
  next(key: string, findings: readonly Finding[], now: number): number {
    const kind = kindOf(findings);
    const before = this.#since.get(key);
    const since = before?.kind === kind ? before.since : now;
    this.#since.set(key, { kind, since });
    return now + delays[kind](now - since);
  }

  forget(key: string): void {
    this.#since.delete(key);
  }
}

const between = (least: number, value: number, most: number): number => Math.min(Math.max(least, value), most);

const delays: Readonly<Record<Kind, (elapsed: number) => number>> = {
  moving: (elapsed) => between(FIRST_LOOK, elapsed / 5, SLOWEST_LOOK),
  stuck: (elapsed) => between(FIRST_RETRY, elapsed, SLOWEST_RETRY),
  queued: () => QUEUED,
};

function kindOf(findings: readonly Finding[]): Kind {
  const steps = new Set(findings.map(({ step }) => step.step));
  if (steps.has('progressing') || steps.has('wait')) return 'moving';
  return steps.has('blocked') || steps.has('stalled') ? 'stuck' : 'queued';
}
