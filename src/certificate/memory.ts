/**
 * What is remembered of a certificate between two looks, in memory only: how often its Secret had to be mended and how often issuance has
 * failed. Losing it at a restart costs a few extra tries, no more.
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Writes for the same cause that are made at once: an edit by hand is mended at once, and so is a second. */
const FREE_WRITES = 3;
const FIRST_DAMPING = 10 * SECOND;
const LONGEST_DAMPING = 10 * MINUTE;
/** A quarrel that has rested for so long is over. */
const FORGIVEN_AFTER = 30 * MINUTE;

const FIRST_BACKOFF = 5 * SECOND;
const LONGEST_BACKOFF = 10 * MINUTE;

/** When the next write may be made after `writes` writes for the same cause, of which the last was at `last` (ms). */
export function dampedUntil(writes: number, last: number): number {
  if (writes < FREE_WRITES) return 0;
  return last + Math.min(FIRST_DAMPING * 2 ** (writes - FREE_WRITES), LONGEST_DAMPING);
}

/** When to try again after `attempts` failures in a row, of which the last was at `last` (ms). */
export function retryAfterFailure(attempts: number, last: number): number {
  if (attempts === 0) return 0;
  return last + Math.min(FIRST_BACKOFF * 2 ** (attempts - 1), LONGEST_BACKOFF);
}

interface Entry {
  count: number;
  last: number;
  cause: string;
}

/** Counts per key for as long as the cause is the same: a changed spec or authority starts anew. */
class Counter {
  readonly #entries = new Map<string, Entry>();
  readonly #rest: number;
  #swept = 0;

  constructor(rest: number) {
    this.#rest = rest;
  }

  get(key: string, cause: string, now: number): { count: number; last: number } {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.cause !== cause || now - entry.last > this.#rest) return { count: 0, last: 0 };
    return entry;
  }

  add(key: string, cause: string, now: number): number {
    this.#sweep(now);
    const count = this.get(key, cause, now).count + 1;
    this.#entries.set(key, { count, last: now, cause });
    return count;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Entries that have rested say nothing any more; without this, 50,000 first issuances would be kept for ever. */
  #sweep(now: number): void {
    if (now - this.#swept < MINUTE) return;
    this.#swept = now;
    for (const [key, { last }] of this.#entries) if (now - last > this.#rest) this.#entries.delete(key);
  }
}

export class Memory {
  readonly #writes = new Counter(FORGIVEN_AFTER);
  readonly #failures = new Counter(2 * LONGEST_BACKOFF);

  /** When the Secret may be mended again (ms); 0 or past: now. */
  dampedUntil(key: string, cause: string, now: number): number {
    const { count, last } = this.#writes.get(key, cause, now);
    return dampedUntil(count, last);
  }

  wrote(key: string, cause: string, now: number): void {
    this.#writes.add(key, cause, now);
    this.#failures.delete(key);
  }

  /** When issuance may be tried again (ms); 0 or past: now. */
  retryAt(key: string, cause: string, now: number): number {
    const { count, last } = this.#failures.get(key, cause, now);
    return retryAfterFailure(count, last);
  }

  /** @returns failures in a row, this one included. */
  failed(key: string, cause: string, now: number): number {
    return this.#failures.add(key, cause, now);
  }

  forget(key: string): void {
    this.#writes.delete(key);
    this.#failures.delete(key);
  }
}
