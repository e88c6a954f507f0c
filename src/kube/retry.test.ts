import { describe, expect, test } from 'vitest';
import { type Attempt, decideRetry, parseRetryAfter, type RetryInput } from './retry.ts';

const answered = (status: number, retryAfterMs?: number): Attempt => ({ outcome: 'answered', status, retryAfterMs });
const lost: Attempt = { outcome: 'lost' };
const unsent: Attempt = { outcome: 'unsent' };

function decide(attempt: Attempt, more: Partial<RetryInput> = {}): string {
  const input = { attempt, safe: false, attempts: 1, remainingMs: 30_000, refreshed: false, random: () => 0, ...more };
  return decideRetry(input).action;
}

describe('a write', () => {
  test.each([
    ['is repeated on 429: it was not processed', answered(429), 'retry'],
    ['is repeated when it was never sent', unsent, 'retry'],
    ['is not repeated when the answer is lost: it may have taken effect', lost, 'give-up'],
    ['is not repeated on 500', answered(500), 'give-up'],
    ['is not repeated on 503', answered(503), 'give-up'],
    ['is not repeated on 504', answered(504), 'give-up'],
    ['is not repeated on 409', answered(409), 'give-up'],
    ['gets fresh credentials on 401', answered(401), 'refresh-credentials'],
  ])('%s', (_name, attempt, action) => {
    expect(decide(attempt)).toBe(action);
  });
});

describe('a read', () => {
  test.each([
    ['is repeated when the answer is lost', lost, 'retry'],
    ['is repeated on 500', answered(500), 'retry'],
    ['is repeated on 503', answered(503), 'retry'],
    ['is repeated on 429', answered(429), 'retry'],
    ['is not repeated on 404', answered(404), 'give-up'],
    ['is not repeated on 403', answered(403), 'give-up'],
    ['is not repeated on 410', answered(410), 'give-up'],
  ])('%s', (_name, attempt, action) => {
    expect(decide(attempt, { safe: true })).toBe(action);
  });
});

test('401 gets fresh credentials once', () => {
  expect(decide(answered(401), { refreshed: true })).toBe('give-up');
});

test('a wait that would pass the deadline is not begun', () => {
  expect(decide(answered(429, 10_000), { remainingMs: 9_000 })).toBe('give-up');
  expect(decide(unsent, { remainingMs: 40 })).toBe('give-up');
});

test('waits at least as long as the server asked, and a bit longer by chance', () => {
  const wait = (random: number) => decideRetry({ ...base, attempt: answered(429, 2_000), random: () => random });
  expect(wait(0)).toEqual({ action: 'retry', afterMs: 2_000 });
  expect(wait(0.999)).toEqual({ action: 'retry', afterMs: expect.closeTo(2_400, -1) });
});

test('without such an ask it waits longer each time, up to five seconds', () => {
  const waits = [1, 2, 3, 6, 20].map((attempts) =>
    decideRetry({ ...base, attempt: unsent, attempts, random: () => 1 }),
  );
  expect(waits.map((wait) => (wait.action === 'retry' ? wait.afterMs : 0))).toEqual([100, 200, 400, 3_200, 5_000]);
});

const base = { safe: false, attempts: 1, remainingMs: 60_000, refreshed: false };

describe('parseRetryAfter', () => {
  const now = Date.UTC(2030, 0, 1);
  test.each([
    ['3', 3_000],
    ['0', 0],
    [['7', '9'], 7_000],
    ['Tue, 01 Jan 2030 00:00:05 GMT', 5_000],
    ['Mon, 31 Dec 2029 00:00:00 GMT', 0],
    ['999999999', 300_000],
    ['-1', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['99999999999999999999', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j', (header, ms) => {
    expect(parseRetryAfter(header, now)).toBe(ms);
  });
});
