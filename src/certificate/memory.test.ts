import { describe, expect, test } from 'vitest';
import { dampedUntil, Memory, retryAfterFailure } from './memory.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const AT = Date.UTC(2030, 0, 1);
const edit = { serialNumber: '01', byTime: false };

describe('damping', () => {
  test.each([
    ['not before the third write', 2, 0],
    ['10 s after the third', 3, 10 * SECOND],
    ['20 s after the fourth', 4, 20 * SECOND],
    ['never more than 10 minutes', 50, 10 * MINUTE],
  ])('is %s', (_, writes, after) => {
    expect(dampedUntil(writes, AT)).toBe(after === 0 ? 0 : AT + after);
  });

  test('an edit by hand is mended at once, and so is a second; a quarrel is not', () => {
    const memory = new Memory();
    const states = [1, 2, 3].map(() => {
      memory.wrote('k', 'c', AT, edit);
      return memory.dampedUntil('k', 'c', AT) > AT;
    });
    expect(states).toEqual([false, false, true]);
  });

  test('counts each certificate by itself', () => {
    const memory = new Memory();
    for (let i = 0; i < 5; i += 1) memory.wrote('k', 'c', AT, edit);
    expect(memory.dampedUntil('other', 'c', AT)).toBe(0);
  });

  test.each<[string, (memory: Memory) => number]>([
    ['the spec or the authority changes', (memory) => memory.dampedUntil('k', 'other', AT)],
    ['the quarrel has rested', (memory) => memory.dampedUntil('k', 'c', AT + 31 * MINUTE)],
    [
      'the certificate is forgotten',
      (memory) => {
        memory.forget('k');
        return memory.dampedUntil('k', 'c', AT);
      },
    ],
  ])('starts anew when %s', (_, until) => {
    const memory = new Memory();
    for (let i = 0; i < 5; i += 1) memory.wrote('k', 'c', AT, edit);
    expect(until(memory)).toBe(0);
  });

  test('holds nobody longer because the clock was set back', () => {
    const memory = new Memory();
    for (let i = 0; i < 3; i += 1) memory.wrote('k', 'c', AT, edit);
    const earlier = AT - 20 * MINUTE;
    expect(memory.dampedUntil('k', 'c', earlier)).toBe(earlier + 10 * SECOND);
    expect(memory.dampedUntil('k', 'c', AT - 24 * 60 * MINUTE)).toBe(0);
  });
});

describe('renewals', () => {
  test('of short-lived certificates are no quarrel, however many', () => {
    const memory = new Memory();
    for (let i = 0; i < 100; i += 1)
      memory.wrote('k', 'c', AT + i * 40 * SECOND, { serialNumber: `${i}`, byTime: true });
    expect(memory.dampedUntil('k', 'c', AT + 4000 * SECOND)).toBe(0);
    expect(memory.isDueByTime('k', '99', AT + 4000 * SECOND)).toBe(true);
  });

  test('of a certificate that somebody put back are a quarrel', () => {
    const memory = new Memory();
    memory.wrote('k', 'c', AT, { serialNumber: 'new', byTime: true });
    expect(memory.isDueByTime('k', 'old', AT + SECOND)).toBe(false);
    expect(memory.isDueByTime('k', 'new', AT + SECOND)).toBe(true);
    expect(memory.isDueByTime('unknown', 'old', AT)).toBe(true);
  });
});

describe('failures', () => {
  test.each([
    [0, 0],
    [1, 5 * SECOND],
    [2, 10 * SECOND],
    [4, 40 * SECOND],
    [100, 10 * MINUTE],
  ])('after %i in a row the next try comes %i ms later', (attempts, after) => {
    expect(retryAfterFailure(attempts, AT)).toBe(after === 0 ? 0 : AT + after);
  });

  test('are counted in a row: a success, another spec or authority ends it', () => {
    const memory = new Memory();
    expect([memory.failed('k', 'c', AT), memory.failed('k', 'c', AT)]).toEqual([1, 2]);
    expect(memory.retryAt('k', 'other', AT, undefined)).toBe(0);
    expect(memory.failed('k', 'other', AT)).toBe(1);
    memory.wrote('k', 'other', AT, edit);
    expect(memory.retryAt('k', 'other', AT, undefined)).toBe(0);
  });

  test('are not rested from beyond the end of the certificate: once then, and as ever after it', () => {
    const memory = new Memory();
    for (let i = 0; i < 10; i += 1) memory.failed('k', 'c', AT);
    const end = AT + 3 * MINUTE;
    expect(memory.retryAt('k', 'c', AT + SECOND, end)).toBe(end);
    expect(memory.retryAt('k', 'c', end + SECOND, end)).toBe(end);
    memory.failed('k', 'c', end);
    expect(memory.retryAt('k', 'c', end, end)).toBe(end + 10 * MINUTE);
    expect(memory.retryAt('k', 'c', end + SECOND, AT + 20 * MINUTE)).toBe(end + 10 * MINUTE);
  });
});

test('what rests is forgotten: 50,000 first issuances are not kept for ever', () => {
  const memory = new Memory();
  for (let i = 0; i < 1000; i += 1) memory.wrote(`k${i}`, 'c', AT, edit);
  expect(memory.size).toBe(1000);
  memory.wrote('late', 'c', AT + 31 * MINUTE, edit);
  expect(memory.size).toBe(1);
});
