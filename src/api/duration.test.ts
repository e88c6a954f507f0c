import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DURATION_MAX_LENGTH, DURATION_PATTERN, formatDuration, isDuration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  test.each([
    ['24h', 86_400],
    ['1d12h', 129_600],
    ['90m', 5_400],
    ['1d1h1m1s', 90_061],
    ['0s', 0],
    ['007m', 420],
    ['8760h', 31_536_000],
    ['999999d99999999h999999999m9999999999s', 86_399_913_600 + 359_999_996_400 + 59_999_999_940 + 9_999_999_999],
  ])('reads %s as %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each([
    '',
    ' ',
    '24',
    'h',
    '-5m',
    '+5m',
    '1.5h',
    '1,5h',
    '1h1d',
    '1h1h',
    '1d 12h',
    '24H',
    'P1D',
    '5ms',
    '1h\n',
    '١h',
    '1e3s',
    `${'0'.repeat(41)}s`,
  ])('refuses %j and says what to write', (text) => {
    expect(isDuration(text)).toBe(false);
    expect(() => parseDuration(text)).toThrow(/is not a duration: write whole numbers with d, h, m, s/);
  });

  test('does not repeat a long text in its message', () => {
    expect(() => parseDuration('x'.repeat(10_000))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,200}$/) }),
    );
  });

  test('adds up its terms', () => {
    const term = fc.nat(99_999);
    fc.assert(
      fc.property(term, term, term, term, (d, h, m, s) => {
        expect(parseDuration(`${d}d${h}h${m}m${s}s`)).toBe(d * 86_400 + h * 3_600 + m * 60 + s);
      }),
    );
  });

  test('reads exactly what the pattern of the CRD admits', () => {
    const text = fc.array(fc.constantFrom('0', '1', '9', 'd', 'h', 'm', 's', ' ', '-', '.', '\n'), { maxLength: 8 });
    fc.assert(
      fc.property(text, (characters) => {
        const candidate = characters.join('');
        expect(isDuration(candidate)).toBe(candidate !== '' && new RegExp(DURATION_PATTERN).test(candidate));
      }),
    );
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [59, '59s'],
    [60, '1m'],
    [86_400, '1d'],
    [129_600, '1d12h'],
    [90_061, '1d1h1m1s'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %d', (seconds) => {
    expect(() => formatDuration(seconds)).toThrow(RangeError);
  });

  test('writes what parseDuration reads as the same', () => {
    fc.assert(
      fc.property(fc.nat({ max: 36_500 * 86_400 }), (seconds) => {
        const text = formatDuration(seconds);
        expect(text.length).toBeLessThanOrEqual(DURATION_MAX_LENGTH);
        expect(parseDuration(text)).toBe(seconds);
      }),
    );
  });
});
