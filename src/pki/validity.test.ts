import { expect, test } from 'vitest';
import { readDer, tag, wrap } from './der.ts';
import { refusal } from './testing.ts';
import { decodeTime, encodeValidity } from './validity.ts';

const far = new Date('9999-12-31T23:59:59Z');
const timesOf = (der: Buffer) => readDer(der).children();

test.each([
  ['1950-01-01T00:00:00Z', tag.utcTime, '500101000000Z'],
  ['1999-12-31T23:59:59Z', tag.utcTime, '991231235959Z'],
  ['2026-11-22T17:02:03Z', tag.utcTime, '261122170203Z'],
  ['2049-12-31T23:59:59Z', tag.utcTime, '491231235959Z'],
  ['2050-01-01T00:00:00Z', tag.generalizedTime, '20500101000000Z'],
  ['2096-02-29T12:00:00Z', tag.generalizedTime, '20960229120000Z'],
])('%s is written as RFC 5280 says, and read back', (iso, type, text) => {
  const [notBefore, notAfter] = timesOf(encodeValidity(new Date(iso), far));
  expect([notBefore?.tag, notBefore?.content.toString()]).toEqual([type, text]);
  expect(notBefore && decodeTime(notBefore)).toEqual(new Date(iso));
  expect(notAfter?.content.toString()).toBe('99991231235959Z');
});

test('fractions of a second are cut', () => {
  const [notBefore] = timesOf(encodeValidity(new Date('2026-01-01T00:00:00.999Z'), far));
  expect(notBefore?.content.toString()).toBe('260101000000Z');
});

test.each([
  ['the end is the beginning', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.999Z'],
  ['the end is before the beginning', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'],
  ['a time is before 1950', '1949-12-31T23:59:59Z', '2026-01-01T00:00:00Z'],
  ['a time is after 9999', '2026-01-01T00:00:00Z', '+010000-01-01T00:00:00Z'],
  ['a time is none', 'never', '2026-01-01T00:00:00Z'],
])('it is refused that %s', (_, from, to) => {
  expect(refusal(() => encodeValidity(new Date(from), new Date(to))).reason).toBe('InvalidValidity');
});

test.each([
  [tag.utcTime, '2601010000Z'],
  [tag.utcTime, '260101000000+0100'],
  [tag.utcTime, '20260101000000Z'],
  [tag.utcTime, '260101000000'],
  [tag.utcTime, '2601010000 0Z'],
  [tag.utcTime, '260229000000Z'],
  [tag.utcTime, '260001000000Z'],
  [tag.utcTime, '261301000000Z'],
  [tag.utcTime, '260100000000Z'],
  [tag.utcTime, '260101240000Z'],
  [tag.utcTime, '260101006000Z'],
  [tag.utcTime, '260101000060Z'],
  [tag.utcTime, ''],
  [tag.generalizedTime, '20500101000000.5Z'],
  [tag.generalizedTime, '260101000000Z'],
  [tag.generalizedTime, '00260101000000Z'],
  [tag.octetString, '260101000000Z'],
])('a time of type %i written %j is refused', (type, text) => {
  expect(refusal(() => decodeTime(readDer(wrap(type, Buffer.from(text))))).reason).toBe('InvalidDer');
});
