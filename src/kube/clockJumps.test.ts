import { expect, test, vi } from 'vitest';
import { watchForJumps } from './clockJumps.ts';
import { FakeClock } from './fakeClock.ts';

const HOUR_MS = 3_600_000;

test.each([HOUR_MS, -HOUR_MS, 48 * HOUR_MS])('tells once of a jump of %i ms', async (ms) => {
  const clock = new FakeClock();
  const jumped = vi.fn();
  watchForJumps(clock, jumped);
  await clock.advance(7_000);
  clock.jump(ms);
  await clock.advance(60_000);
  expect(jumped.mock.calls).toEqual([[ms]]);
});

test('tells of each of several jumps', async () => {
  const clock = new FakeClock();
  const jumped = vi.fn();
  watchForJumps(clock, jumped);
  clock.jump(HOUR_MS);
  await clock.advance(5_000);
  clock.jump(-HOUR_MS);
  await clock.advance(5_000);
  expect(jumped.mock.calls).toEqual([[HOUR_MS], [-HOUR_MS]]);
});

test('takes no notice of time that passes, nor of a clock that is slewed', async () => {
  const clock = new FakeClock();
  const jumped = vi.fn();
  watchForJumps(clock, jumped);
  for (let second = 0; second < 600; second++) {
    clock.jump(0.5);
    await clock.advance(1_000);
  }
  expect(jumped).not.toHaveBeenCalled();
});

test('leaves no timer behind', async () => {
  const clock = new FakeClock();
  const stop = watchForJumps(clock, () => {});
  await clock.advance(12_000);
  stop();
  expect(clock.pending).toBe(0);
});
