import type { Clock } from './clock.ts';

export interface QuietOptions {
  readonly clock: Clock;
  /** Called in the quiet after much was done. */
  readonly onQuiet: () => void;
  /** So many calls of `note` are much. Default 1,000. */
  readonly much?: number;
  /** So long without a call of `note` is quiet (ms). Default 3 s. */
  readonly quietMs?: number;
}

/**
 * Tells when a burst of work is over. V8 collects when memory is asked for, and keeps what a burst has left behind for as long as nothing is: an operator that has
 * listed ten thousand objects and then sleeps would hold 30 MB of garbage for days.
 */
export class Quiet {
  readonly #clock: Clock;
  readonly #onQuiet: () => void;
  readonly #much: number;
  readonly #quietMs: number;
  #noted = 0;
  #lastAt = 0;
  #armed = false;

  constructor({ clock, onQuiet, much = 1_000, quietMs = 3_000 }: QuietOptions) {
    this.#clock = clock;
    this.#onQuiet = onQuiet;
    this.#much = much;
    this.#quietMs = quietMs;
  }

  /** Something was done. Cheap: for each object. */
  note(): void {
    this.#noted += 1;
    this.#lastAt = this.#clock.monotonic();
    if (this.#noted < this.#much || this.#armed) return;
    this.#armed = true;
    this.#look(this.#quietMs);
  }

  #look(ms: number): void {
    this.#clock.setTimer(ms, () => {
      const quietFor = this.#clock.monotonic() - this.#lastAt;
      if (quietFor < this.#quietMs) return this.#look(this.#quietMs - quietFor);
      this.#armed = false;
      this.#noted = 0;
      this.#onQuiet();
    });
  }
}

/**
 * One thorough collection, which also hands the freed pages back at once: a tenth of a second with ten thousand certificates. Only where Node was started with
 * --expose-gc: V8's flags are not meant to change after its start.
 */
export function collectGarbage(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
