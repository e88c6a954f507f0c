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
  readonly count: number;
  readonly last: number;
  readonly cause: string;
}

/** Keys that rest are forgotten, or 50,000 first issuances would be kept for ever. */
class Recent<T extends { readonly last: number }> {
  readonly #entries = new Map<string, T>();
  readonly #rest: number;
  #swept = 0;

  constructor(rest: number) {
    this.#rest = rest;
  }

  get(key: string, now: number): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#rests(entry, now)) return undefined;
    // A clock that was set back must not hold anyone until it has caught up.
    return entry.last > now ? { ...entry, last: now } : entry;
  }

  set(key: string, entry: T): void {
    this.#entries.set(key, entry);
    if (Math.abs(entry.last - this.#swept) < MINUTE) return;
    this.#swept = entry.last;
    for (const [other, known] of this.#entries) if (this.#rests(known, entry.last)) this.#entries.delete(other);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  #rests({ last }: T, now: number): boolean {
    return Math.abs(now - last) > this.#rest;
  }
}

/** Counts per key for as long as the cause is the same: a changed spec or authority starts anew. */
class Counter {
  readonly #recent: Recent<Entry>;

  constructor(rest: number) {
    this.#recent = new Recent(rest);
  }

  get(key: string, cause: string, now: number): { readonly count: number; readonly last: number } {
    const entry = this.#recent.get(key, now);
    return entry?.cause === cause ? entry : { count: 0, last: 0 };
  }

  add(key: string, cause: string, now: number): number {
    const count = this.get(key, cause, now).count + 1;
    this.#recent.set(key, { count, last: now, cause });
    return count;
  }

  delete(key: string): void {
    this.#recent.delete(key);
  }

  get size(): number {
    return this.#recent.size;
  }
}

export class Memory {
  readonly #writes = new Counter(FORGIVEN_AFTER);
  readonly #failures = new Counter(2 * LONGEST_BACKOFF);
  /** The certificate that we wrote last. */
  readonly #left = new Recent<{ readonly serialNumber: string; readonly last: number }>(FORGIVEN_AFTER);

  /** When the Secret may be mended again (ms); 0 or past: now. */
  dampedUntil(key: string, cause: string, now: number): number {
    const { count, last } = this.#writes.get(key, cause, now);
    return dampedUntil(count, last);
  }

  /**
   * Whether a certificate that is due is so by time alone, which is nobody's doing and never damped. Not if we have written another one a
   * short while ago: then somebody puts an old one back.
   *
   * @param serialNumber of the certificate in the Secret.
   */
  isDueByTime(key: string, serialNumber: string, now: number): boolean {
    const left = this.#left.get(key, now);
    return left === undefined || left.serialNumber === serialNumber;
  }

  /** @param written.byTime: it was due by time alone, so that it is no part of a quarrel. */
  wrote(key: string, cause: string, now: number, written: { serialNumber: string; byTime: boolean }): void {
    if (!written.byTime) this.#writes.add(key, cause, now);
    this.#left.set(key, { serialNumber: written.serialNumber, last: now });
    this.#failures.delete(key);
  }

  /**
   * When issuance may be tried again (ms); 0 or past: now.
   *
   * @param end when the present certificate expires: it is tried then, whatever has failed before, and told that it is not valid any more.
   */
  retryAt(key: string, cause: string, now: number, end: number | undefined): number {
    const { count, last } = this.#failures.get(key, cause, now);
    const at = retryAfterFailure(count, last);
    return end !== undefined && last < end ? Math.min(at, end) : at;
  }

  /** @returns failures in a row, this one included. */
  failed(key: string, cause: string, now: number): number {
    return this.#failures.add(key, cause, now);
  }

  forget(key: string): void {
    this.#writes.delete(key);
    this.#failures.delete(key);
    this.#left.delete(key);
  }

  /** How many certificates anything is remembered of. */
  get size(): number {
    return Math.max(this.#writes.size, this.#failures.size, this.#left.size);
  }
}
