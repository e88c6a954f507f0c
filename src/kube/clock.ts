/**
 * Time as it is handed to everything in the operator, so that tests can hold it still, move it and let it jump.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump either way at any moment (NTP, a virtual machine that was paused, an operator's hand). */
  now(): number;
  /** Milliseconds since an arbitrary start. Never goes back and knows nothing of the wall clock: for deadlines, leases and durations. */
  monotonic(): number;
  /**
   * Calls `fn` once after `ms` milliseconds of monotonic time. Any length is safe: node's own setTimeout fires at once past 2^31-1 ms
   * (24.8 days). Returns a function that cancels; cancelling twice or after the call does nothing.
   */
  setTimer(ms: number, fn: () => void): () => void;
}

/** The longest delay that node's setTimeout keeps; a longer one overflows to 1 ms. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(ms, fn) {
    if (ms <= LONGEST_TIMEOUT) {
      const timer = setTimeout(fn, Math.max(0, ms));
      return () => clearTimeout(timer);
    }
    return longTimer(ms, fn);
  },
};

function longTimer(ms: number, fn: () => void): () => void {
  const due = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = due - performance.now();
    timer = left > LONGEST_TIMEOUT ? setTimeout(arm, LONGEST_TIMEOUT) : setTimeout(fn, Math.max(0, left));
  };
  arm();
  return () => clearTimeout(timer);
}

/**
 * Resolves after `ms` milliseconds. Rejects with the signal's reason when the signal aborts first, so that a loop that waits ends by itself.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.setTimer(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A number in [0, 1), as Math.random. Passed in so that a test can repeat a run. */
export type Random = () => number;
