import type { Clock } from './clock.ts';

const EVERY_MS = 5_000;
/** Clocks that NTP slews stay far below this; whatever is less than it is within what peers allow for. */
const TOLERANCE_MS = 2_000;

/**
 * Calls `onJump` with the milliseconds, negative for a step back, within 5 s of each time that the wall clock has jumped: was set, or went on while the machine
 * slept. No timer tells, and whoever waits for a wall-clock time waits too long after a step back.
 *
 * @returns ends it.
 */
export function watchForJumps(clock: Clock, onJump: (ms: number) => void): () => void {
  let distance = clock.now() - clock.monotonic();
  let cancel = (): void => {};
  const look = (): void => {
    const now = clock.now() - clock.monotonic();
    const jump = now - distance;
    distance = now;
    cancel = clock.setTimer(EVERY_MS, look);
    if (Math.abs(jump) >= TOLERANCE_MS) onJump(jump);
  };
  cancel = clock.setTimer(EVERY_MS, look);
  return () => cancel();
}
