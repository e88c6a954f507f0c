// Times of a certificate (RFC 5280 §4.1.2.5): whole seconds, UTCTime before 2050, GeneralizedTime from then on.

import { type Element, malformed, tag, wrap } from './der.ts';
import { PkiError } from './errors.ts';

const FIRST = Date.UTC(1950, 0, 1);
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59);
const FIRST_GENERALIZED = Date.UTC(2050, 0, 1);

/** The DER of Validity; fractions of a second are cut. @throws PkiError InvalidValidity */
export function encodeValidity(notBefore: Date, notAfter: Date): Buffer {
  const from = wholeSeconds(notBefore, 'notBefore');
  const to = wholeSeconds(notAfter, 'notAfter');
  if (from >= to) {
    throw new PkiError(
      'InvalidValidity',
      `notBefore ${new Date(from).toISOString()} is not before notAfter ${new Date(to).toISOString()}`,
    );
  }
  return wrap(tag.sequence, encodeTime(from), encodeTime(to));
}

function wholeSeconds(time: Date, what: string): number {
  const seconds = Math.floor(time.getTime() / 1000) * 1000;
  if (!(seconds >= FIRST && seconds <= LAST))
    throw new PkiError('InvalidValidity', `${what} is not a time in the years 1950 to 9999`);
  return seconds;
}

function encodeTime(time: number): Buffer {
  // 2026-11-22T17:02:03.000Z
  const iso = new Date(time).toISOString();
  const digits =
    iso.slice(0, 4) + iso.slice(5, 7) + iso.slice(8, 10) + iso.slice(11, 13) + iso.slice(14, 16) + iso.slice(17, 19);
  const utc = time < FIRST_GENERALIZED;
  return wrap(utc ? tag.utcTime : tag.generalizedTime, Buffer.from(`${utc ? digits.slice(2) : digits}Z`, 'latin1'));
}

/** @throws PkiError InvalidDer for any time that is not exactly as RFC 5280 writes it, or that does not exist */
export function decodeTime(value: Element): Date {
  const text = value.content.toString('latin1');
  const full = value.tag === tag.utcTime ? `${text < '50' ? '20' : '19'}${text}` : text;
  if ((value.tag !== tag.utcTime && value.tag !== tag.generalizedTime) || !/^[0-9]{14}Z$/.test(full)) {
    throw malformed('a time is not written as RFC 5280 says');
  }
  const part = (from: number, to: number) => Number(full.slice(from, to));
  const [year, month, day] = [part(0, 4), part(4, 6) - 1, part(6, 8)];
  const [hour, minute, second] = [part(8, 10), part(10, 12), part(12, 14)];
  const date = new Date(Date.UTC(year, month, day, hour, minute, second));
  // Date rolls 31 February over into March, and takes the year 26 for 1926.
  const exists = date.getUTCFullYear() === year && date.getUTCMonth() === month && date.getUTCDate() === day;
  if (!exists || hour > 23 || minute > 59 || second > 59) throw malformed('a time does not exist');
  return date;
}
