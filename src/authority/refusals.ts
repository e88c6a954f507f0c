/**
 * Writes that the API server refuses, as policies, quotas and webhooks make it. Nothing but time or somebody else can mend that, and every look
 * at an authority would send them anew: our own status, which tells of the refusal, causes the next look.
 */
import type { Clock } from '../kube/index.ts';

export interface Refusal {
  readonly message: string;
  /** When the write is tried again, ms of the wall clock. */
  readonly retryAt: number;
}

const FIRST_WAIT = 1000;

export class Refusals {
  readonly #clock: Clock;
  readonly #longestWait: number;
  /** `due` by the monotonic clock: a wall clock that is set back must not make anything wait for days. */
  readonly #known = new Map<string, { readonly message: string; readonly attempts: number; readonly due: number }>();

  /** @param longestWait ms; from a second on, waits double until they are as long. */
  constructor(clock: Clock, longestWait: number) {
    this.#clock = clock;
    this.#longestWait = longestWait;
  }

  /** The last refusal, while the write is not to be tried again yet. */
  waiting(key: string): Refusal | undefined {
    const known = this.#known.get(key);
    const left = known === undefined ? 0 : known.due - this.#clock.monotonic();
    return known === undefined || left <= 0 ? undefined : { message: known.message, retryAt: this.#retryAt(left) };
  }

  /** It was tried, and refused. */
  note(key: string, message: string): Refusal {
    const attempts = (this.#known.get(key)?.attempts ?? 0) + 1;
    const wait = Math.min(FIRST_WAIT * 2 ** (attempts - 1), this.#longestWait);
    this.#known.set(key, { message, attempts, due: this.#clock.monotonic() + wait });
    return { message, retryAt: this.#retryAt(wait) };
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  #retryAt(left: number): number {
    return Math.ceil(this.#clock.now() + left);
  }
}
