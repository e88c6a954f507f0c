import { describe, expect, test } from 'vitest';
import { Refusals } from './refusals.ts';

function setUp() {
  const time = { wall: 1_000_000, monotonic: 5 };
  const clock = { now: () => time.wall, monotonic: () => time.monotonic, setTimer: () => () => {} };
  const pass = (ms: number) => {
    time.wall += ms;
    time.monotonic += ms;
  };
  return { time, pass, refusals: new Refusals(clock, 30_000) };
}

describe('a write that was refused', () => {
  test('is not tried again before its time, and what was said stands until then', () => {
    const { pass, refusals } = setUp();
    expect(refusals.waiting('a')).toBeUndefined();
    expect(refusals.note('a', 'no')).toEqual({ message: 'no', retryAt: 1_001_000 });
    pass(999);
    expect(refusals.waiting('a')).toEqual({ message: 'no', retryAt: 1_001_000 });
    expect(refusals.waiting('b')).toBeUndefined();
    pass(1);
    expect(refusals.waiting('a')).toBeUndefined();
  });

  test('is tried ever more seldom, up to the longest wait', () => {
    const { pass, refusals, time } = setUp();
    const waits = Array.from({ length: 7 }, () => {
      const wait = refusals.note('a', 'no').retryAt - time.wall;
      pass(wait);
      return wait / 1000;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30]);
  });

  test('does not wait longer for a wall clock that is set back', () => {
    const { refusals, time } = setUp();
    refusals.note('a', 'no');
    time.wall -= 500_000;
    time.monotonic += 400;
    expect(refusals.waiting('a')?.retryAt).toBe(time.wall + 600);
    time.monotonic += 600;
    expect(refusals.waiting('a')).toBeUndefined();
  });

  test('and then taken begins anew', () => {
    const { refusals, time } = setUp();
    refusals.note('a', 'no');
    refusals.note('a', 'no');
    refusals.forget('a');
    expect(refusals.waiting('a')).toBeUndefined();
    expect(refusals.note('a', 'no').retryAt - time.wall).toBe(1000);
  });
});
