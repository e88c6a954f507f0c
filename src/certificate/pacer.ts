import { type Clock, DueHeap } from '../kube/index.ts';

/**
 * Paces renewals. Nothing is gained by renewing as fast as the machine can: what is due has hours left, while the API server's
 * other users would feel the burst. So what is due drains at a steady rate, the most urgent first, as slowly as its slack allows;
 * what has no slack is not held back at all.
 */

export interface PacerOptions {
  /** Renewals a second that nobody notices: with fewer due than that, there is no waiting worth the name. */
  readonly floorPerSecond: number;
  /** The share of the nearest renewal's remaining life within which the whole backlog is drained. */
  readonly slackShare: number;
}

export const defaultPacing: PacerOptions = { floorPerSecond: 2, slackShare: 0.05 };

/**
 * Milliseconds between two releases, for a backlog of `waiting` renewals of which the nearest to expiry has `slackMs` left.
 * Zero: release at once.
 */
export function spacing(waiting: number, slackMs: number, options: PacerOptions = defaultPacing): number {
  if (slackMs <= 0 || waiting === 0) return 0;
  return Math.min(1000 / options.floorPerSecond, (slackMs * options.slackShare) / waiting);
}

/**
 * A waiting room ordered by expiry. `enter` gives true where the key may go at once; else the key waits and `release(key)` is called
 * when its turn has come, after which the next `enter` of that key gives true.
 *
 * It starts closed: after an outage everything is due at once, and who goes first can only be told when everyone has been looked at.
 */
export class Pacer {
  readonly #waiting = new DueHeap();
  readonly #released = new Set<string>();
  readonly #release: (key: string) => void;
  readonly #clock: Clock;
  readonly #options: PacerOptions;
  #open = false;
  /** On the monotonic clock: a wall clock that is set back must not hold everyone until it has caught up. */
  #lastRelease = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  constructor(release: (key: string) => void, clock: Clock, options: PacerOptions = defaultPacing) {
    this.#release = release;
    this.#clock = clock;
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Everyone has been looked at. */
  open(): void {
    this.#open = true;
    this.#pump();
  }

  /** @param notAfter when the certificate in use expires (ms): the nearest goes first; 0 where there is none. */
  enter(key: string, notAfter: number): boolean {
    if (this.#released.delete(key)) return true;
    this.#waiting.set(key, notAfter);
    this.#pump(key);
    return this.#released.delete(key);
  }

  /**
   * For who has no certificate at all, so that nobody is more urgent: waits until everyone has been looked at.
   * @returns false once that is so: then `enter`.
   */
  hold(key: string): boolean {
    if (this.#open) return false;
    this.#waiting.set(key, 0);
    return true;
  }

  /** The key needs nothing any more. */
  leave(key: string): void {
    this.#waiting.delete(key);
    this.#released.delete(key);
  }

  stop(): void {
    this.#open = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Releases whoever's turn has come. `entering` learns of it by the return of `enter`. */
  #pump(entering?: string): void {
    if (!this.#open) return;
    for (let notAfter = this.#waiting.first; notAfter !== undefined; notAfter = this.#waiting.first) {
      const now = this.#clock.monotonic();
      const gap = spacing(this.#waiting.size, notAfter - this.#clock.now(), this.#options);
      const wait = this.#lastRelease + gap - now;
      if (wait > 0) {
        this.#arm(wait);
        return;
      }
      const key = this.#waiting.popDue(Number.POSITIVE_INFINITY);
      if (key === undefined) return;
      // What has no slack goes past the others; if it counted, a stream of new certificates would hold up renewals until they have none either.
      if (gap > 0) this.#lastRelease = now;
      this.#released.add(key);
      if (key !== entering) this.#release(key);
    }
  }

  #arm(ms: number): void {
    this.#cancelTimer ??= this.#clock.setTimer(Math.max(1, ms), () => {
      this.#cancelTimer = undefined;
      this.#pump();
    });
  }
}
