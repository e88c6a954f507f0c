import type { Clock } from './clock.ts';

/**
 * A clock for tests: time passes only when told. Timers run in the order of their due time; a timer that is set by another's callback runs in
 * the same `advance` if it falls due within it.
 */
export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #sequence = 0;
  readonly #timers = new Map<number, { due: number; fn: () => void }>();

  constructor(wallMs = Date.UTC(2030, 0, 1)) {
    this.#wall = wallMs;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(ms: number, fn: () => void): () => void {
    const id = this.#sequence++;
    this.#timers.set(id, { due: this.#monotonic + Math.max(0, ms), fn });
    return () => {
      this.#timers.delete(id);
    };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves the wall clock alone, as NTP or a hand would: no timer notices. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** Lets `ms` pass on both clocks and runs what falls due, in order; lets promises settle between two timers. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next.id);
      this.#moveTo(next.due);
      next.fn();
      await settle();
    }
    this.#moveTo(end);
  }

  #moveTo(monotonic: number): void {
    const step = Math.max(0, monotonic - this.#monotonic);
    this.#monotonic += step;
    this.#wall += step;
  }

  #next(end: number): { id: number; due: number; fn: () => void } | undefined {
    let first: { id: number; due: number; fn: () => void } | undefined;
    for (const [id, { due, fn }] of this.#timers) {
      if (due <= end && (first === undefined || due < first.due)) first = { id, due, fn };
    }
    return first;
  }
}

/** Lets every promise that can settle do so: setImmediate runs after the microtasks, however long their chain. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
