import { expect, test } from 'vitest';
import { clock, grouped, renewalHeader, renewalRow, shortSerial } from './format.ts';

test.each([
  [0, '0:00'],
  [59_999, '0:59'],
  [61_000, '1:01'],
  [3_600_000, '60:00'],
])('%d ms read %s', (ms, text) => expect(clock(ms)).toBe(text));

test('large counts are grouped', () => expect(grouped(1_234_567)).toBe('1,234,567'));

test('a serial number keeps both ends', () => {
  expect(shortSerial('4F3B000000000000000000000000AB21')).toBe('4F3B…AB21');
  expect(shortSerial('4F3B')).toBe('4F3B');
});

test('the table fits into 80 columns with its indentation', () => expect(renewalHeader.length).toBeLessThan(78));

test('a row stands below its header', () => {
  const row = renewalRow({
    who: 'server',
    at: 13_000,
    oldSerial: '4F3B000000000000000000000000AB21',
    newSerial: '5F3B000000000000000000000000AB22',
    notAfter: Date.UTC(2027, 0, 1, 12, 30, 5),
    left: 46_200,
    handshakes: 1_234,
    failures: 0,
  });
  expect(row).toBe(' 0:13  server   4F3B…AB21 → 5F3B…AB22  12:30:05    46.2 s       1,234       0');
  expect(row.indexOf('12:30:05')).toBe(renewalHeader.indexOf('valid to'));
});
