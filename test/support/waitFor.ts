import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Gives up after this many milliseconds (default 30,000). */
  readonly timeoutMs?: number;
  /** Pause between two looks, in milliseconds (default 50). */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Looks again and again until `look` returns something other than undefined or false, and returns that.
 * An exception counts as "not yet"; the last one is the cause of the error thrown when time is up.
 * @param what completes the sentence "waited 30 s for ...".
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions = {},
): Promise<T> {
  const { timeoutMs = 30_000, intervalMs = 50, signal } = options;
  const until = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= until) {
      const why = last instanceof Error ? `; the last look failed: ${last.message}` : '';
      throw new Error(`waited ${timeoutMs / 1000} s for ${what}${why}`, { cause: last });
    }
    await delay(intervalMs, undefined, signal === undefined ? {} : { signal });
  }
}
