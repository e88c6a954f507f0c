import { expect, test } from 'vitest';
import { PkiError, quote } from './errors.ts';

test('a refusal says what is wrong and what to do', () => {
  const error = new PkiError('NoCertificate', 'the bundle is empty');
  expect(error).toBeInstanceOf(Error);
  expect(error.message).toBe('the bundle is empty: give at least one block of -----BEGIN CERTIFICATE-----');
  expect(new PkiError('InvalidUri', 'problem', 'special advice').message).toBe('problem: special advice');
  expect([error.reason, error.name, error.advice]).toEqual([
    'NoCertificate',
    'PkiError',
    'give at least one block of -----BEGIN CERTIFICATE-----',
  ]);
});

test.each([
  ['plain', '"plain"'],
  ['a\n\0"b', '"a\\n\\u0000\\"b"'],
  ['\u202eü', '"\\u202e\\u00fc"'],
  ['\ud800', '"\\ud800"'],
  ['x'.repeat(200), `"${'x'.repeat(97)}..."`],
])('%j from outside is shown as %s', (text, shown) => {
  expect(quote(text)).toBe(shown);
});
