import { expect, test } from 'vitest';
import { decodePem, encodePem } from './pem.ts';
import { refusal, refusalReason } from './testing.ts';

const decode = (text: string) => decodePem(text, 'the input', 10_000);

test.each([1, 47, 48, 49, 96, 500])('%i bytes survive being written and read', (length) => {
  const der = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0xff));
  const pem = encodePem('CERTIFICATE', der);
  expect(decode(pem)).toEqual([{ label: 'CERTIFICATE', der }]);
  expect(pem.split('\n').every((line) => line.length <= 64)).toBe(true);
  expect(pem.endsWith('-----END CERTIFICATE-----\n')).toBe(true);
});

const body = Buffer.from('some bytes').toString('base64');

test('text around blocks, CRLF and trailing spaces are what real files have', () => {
  const text = `Bag Attributes: -----BEGIN \r\nsubject=CN = x\r\n-----BEGIN A B-----\r\n${body}  \r\n-----END A B-----  \r\n\r\n-----BEGIN C-----\n${body}\n-----END C-----`;
  expect(decode(text).map(({ label, der }) => [label, der.toString()])).toEqual([
    ['A B', 'some bytes'],
    ['C', 'some bytes'],
  ]);
});

test('no block at all is nobody’s error here', () => {
  expect(decode('')).toEqual([]);
  expect(decode('just text')).toEqual([]);
});

test.each([
  ['an END of another label', `-----BEGIN A-----\n${body}\n-----END B-----\n`],
  ['no END', `-----BEGIN A-----\n${body}\n`],
  ['no end of the BEGIN line', '-----BEGIN A'],
  ['a label in small letters', `-----BEGIN a-----\n${body}\n-----END a-----\n`],
  ['nothing inside', '-----BEGIN A-----\n-----END A-----\n'],
  ['characters that base64 does not have', `-----BEGIN A-----\n${body}*\n-----END A-----\n`],
  ['a missing character', `-----BEGIN A-----\n${body.slice(1)}\n-----END A-----\n`],
  ['padding in the middle', '-----BEGIN A-----\nQQ==QQ==\n-----END A-----\n'],
  ['a block within a block', `-----BEGIN A-----\n-----BEGIN A-----\n${body}\n-----END A-----\n`],
])('%s is refused', (_, text) => {
  expect(refusalReason(() => decode(text))).toBe('InvalidPem');
});

test.each([
  ['PKCS#8', `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${body}\n-----END ENCRYPTED PRIVATE KEY-----\n`],
  [
    'old',
    `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n${body}\n-----END RSA PRIVATE KEY-----\n`,
  ],
])('an encrypted private key (%s) is told apart, with advice', (_, text) => {
  const error = refusal(() => decode(text));
  expect(error.reason).toBe('EncryptedPrivateKey');
  expect(error.message).toContain('openssl pkey');
});

test('more than can be meant is refused before it is looked at', () => {
  expect(refusalReason(() => decode('x'.repeat(10_001)))).toBe('TooLarge');
});

test('errors never quote what is inside a block', () => {
  expect(
    refusal(() => decode('-----BEGIN PRIVATE KEY-----\nsecret*secret\n-----END PRIVATE KEY-----\n')).message,
  ).not.toContain('secret');
});
