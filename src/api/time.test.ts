import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTime } from './time.ts';

test.each([
  ['2027-03-01T00:00:00Z', Date.UTC(2027, 2, 1)],
  ['2027-03-01T02:00:00+02:00', Date.UTC(2027, 2, 1)],
  ['2028-02-29T23:59:59.5Z', Date.UTC(2028, 1, 29, 23, 59, 59, 500)],
  ['2027-03-01T00:00:00.123456789-00:30', Date.UTC(2027, 2, 1, 0, 30, 0, 123)],
])('%s is a time', (text, at) => {
  expect(parseTime(text)).toBe(at);
});

test.each([
  '',
  'tomorrow',
  '2027-03-01',
  '2027-03-01T00:00:00',
  '2027-03-01 00:00:00Z',
  '2027-03-01T00:00Z',
  '2027-02-29T00:00:00Z',
  '2027-04-31T00:00:00Z',
  '2027-03-01T24:00:00Z',
  '2027-03-01T23:59:60Z',
  '2027-03-01T00:00:00+24:00',
  '9999-12-31T23:59:59-01:00',
  '0000-01-01T00:00:00Z',
  ' 2027-03-01T00:00:00Z',
  '2027-03-01T00:00:00Z\n',
])('%j is none', (text) => {
  expect(parseTime(text)).toBeUndefined();
});

test('what JavaScript writes is read again', () => {
  const years = {
    min: new Date('1000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  };
  fc.assert(
    fc.property(fc.date(years), (date) => {
      expect(parseTime(date.toISOString())).toBe(date.getTime());
    }),
  );
});
