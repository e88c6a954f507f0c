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
  readonly #looks = new Map<string, { readonly kind: Kind; readonly count: number }>();

  /** @returns when to look again (ms); ever later for as long as it is of one kind. */
  next(key: string, findings: readonly Finding[], now: number): number {
    const kind = kindOf(findings);
    const before = this.#looks.get(key);
    const count = before?.kind === kind ? before.count + 1 : 0;
    this.#looks.set(key, { kind, count });
    return now + delays[kind](count);
  }

  forget(key: string): void {
    this.#looks.delete(key);
  }
}

const delays: Readonly<Record<Kind, (count: number) => number>> = {
  moving: (count) => Math.min(FIRST_LOOK * 1.2 ** count, SLOWEST_LOOK),
  stuck: (count) => Math.min(FIRST_RETRY * 2 ** count, SLOWEST_RETRY),
  queued: () => QUEUED,
};

function kindOf(findings: readonly Finding[]): Kind {
  const steps = new Set(findings.map(({ step }) => step.step));
  if (steps.has('progressing') || steps.has('wait')) return 'moving';
  return steps.has('blocked') || steps.has('stalled') ? 'stuck' : 'queued';
}
