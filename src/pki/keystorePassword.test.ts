import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeystorePassword } from './keystorePassword.ts';
import { refusal } from './testing.ts';

test.each([
  ['of six characters', 'abc123'],
  ['of 128 characters', 'x'.repeat(128)],
  ['with every printable ASCII character', Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')],
  ['of spaces', '      '],
])('a password %s is taken as it is', (_, text) => {
  expect(KeystorePassword.read(Buffer.from(text)).octets().toString()).toBe(text);
});

test.each([
  ['nothing', '', 'is empty'],
  ['five characters', 'abc12', 'is too short'],
  ['129 characters', 'x'.repeat(129), 'is too long'],
  ['a megabyte', 'x'.repeat(1 << 20), 'is too long'],
  ['a line break at its end', 'changeit\n', 'ends with a line break'],
  ['a line break of Windows', 'changeit\r\n', 'ends with a line break'],
  ['a line break within', 'change\nit', 'has other than printable ASCII characters'],
  ['a tab', 'change\tit', 'has other than printable ASCII characters'],
  ['an umlaut', 'pässword', 'has other than printable ASCII characters'],
  ['a zero octet', 'change\u0000it', 'has other than printable ASCII characters'],
  ['a byte order mark', '\ufeffchangeit', 'has other than printable ASCII characters'],
])('%s is refused with what is wrong and what to write', (_, text, problem) => {
  const error = refusal(() => KeystorePassword.read(Buffer.from(text)));
  expect(error.reason).toBe('InvalidPassword');
  expect(error.message).toBe(
    `the password ${problem}: write 6 to 128 printable ASCII characters, without a line break at the end`,
  );
});

test('whatever octets come are taken or refused, and no refusal tells any of them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const isGood = octets.length >= 6 && octets.length <= 128 && octets.every((octet) => octet >= 32 && octet < 127);
      const read = () => KeystorePassword.read(Buffer.from(octets));
      if (isGood) expect(read().octets().equals(octets)).toBe(true);
      else expect(refusal(read).message).toMatch(/^the password (is|has|ends) [a-zA-Z ]+: write 6 to 128 /);
    }),
  );
});

test('generated ones differ, and are taken again', () => {
  const made = Array.from({ length: 100 }, () => KeystorePassword.generate().octets());
  expect(new Set(made.map(String)).size).toBe(100);
  for (const octets of made) expect(KeystorePassword.read(octets).octets()).toEqual(octets);
});

test('nothing shows a password by accident', () => {
  const password = KeystorePassword.read(Buffer.from('do not tell'));
  for (const shown of [JSON.stringify({ password }), inspect(password, { depth: 9, showHidden: true }), `${password}`])
    expect(shown).not.toContain('do not tell');
});
