import { afterEach, describe, expect, test, vi } from 'vitest';
import { sleep, systemClock } from './clock.ts';
import { FakeClock } from './fakeClock.ts';

const DAY_MS = 86_400_000;

describe('systemClock.setTimer', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([1, 24, 25, 60, 400])('fires after %i days, and not before', (days) => {
    vi.useFakeTimers();
    const fired = vi.fn();
    systemClock.setTimer(days * DAY_MS, fired);
    vi.advanceTimersByTime(days * DAY_MS - 1000);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2000);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  test('can be cancelled after the first 24.8 days too', () => {
    vi.useFakeTimers();
    const fired = vi.fn();
    const cancel = systemClock.setTimer(60 * DAY_MS, fired);
    vi.advanceTimersByTime(30 * DAY_MS);
    cancel();
    cancel();
    vi.advanceTimersByTime(60 * DAY_MS);
    expect(fired).not.toHaveBeenCalled();
  });
});

describe('sleep', () => {
  test('rejects with the reason of its signal, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const slept = sleep(clock, 1000, stop.signal);
    stop.abort(new Error('enough'));
    await expect(slept).rejects.toThrow('enough');
    expect(clock.pending).toBe(0);
    await expect(sleep(clock, 1000, stop.signal)).rejects.toThrow('enough');
  });

  test('resolves when the time has passed', async () => {
    const clock = new FakeClock();
    const done = vi.fn();
    void sleep(clock, 1000).then(done);
    await clock.advance(999);
    expect(done).not.toHaveBeenCalled();
    await clock.advance(1);
    await Promise.resolve();
    expect(done).toHaveBeenCalled();
  });
});
