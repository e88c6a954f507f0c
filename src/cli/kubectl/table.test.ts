import { describe, expect, test } from 'vitest';
import { counted, printable, some, span, table } from './table.ts';

describe('a table', () => {
  test('has aligned columns, and no blanks at the end of a line', () => {
    const rows = [
      ['web', ''],
      ['database-0', 'Strict'],
    ];
    expect(table(['NAME', 'MODE'], rows)).toEqual(['NAME         MODE', 'web', 'database-0   Strict']);
  });

  test('holds nothing that a terminal would act upon', () => {
    expect(table(['NAME'], [['a\u001b[31m\nb\u202ec\u2028d']])).toEqual(['NAME', 'a [31m b c d']);
    expect(printable('plain text stays: ü 漢')).toBe('plain text stays: ü 漢');
  });
});

test.each([
  [-5, '0s'],
  [0, '0s'],
  [119_999, '119s'],
  [120_000, '2m'],
  [3 * 3_600_000 - 1, '179m'],
  [3 * 3_600_000, '3h'],
  [48 * 3_600_000 - 1, '47h'],
  [48 * 3_600_000, '2d'],
])('%d ms are written %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([
  [['a'], 'a'],
  [['a', 'b'], 'a, b'],
  [['a', 'b', 'c'], 'a, b and 1 more'],
])('of %j the first two are named', (names, text) => {
  expect(some(names, 2)).toBe(text);
});

test('one is no plural', () => {
  expect([0, 1, 2].map((count) => counted(count, 'pod'))).toEqual(['0 pods', '1 pod', '2 pods']);
});
