import { expect, test } from 'vitest';
import { readDer, tag } from './der.ts';
import { decodeName, encodeSubject, nameText, parseSubject, type Subject } from './subject.ts';
import { refusal } from './testing.ts';

const roundTrip = (subject: Subject) => nameText(decodeName(readDer(encodeSubject(parseSubject(subject)))));

test('attributes go from the general to the particular, each value in an RDN of its own', () => {
  const subject = {
    serialNumber: '42',
    commonName: 'web',
    organizationalUnits: ['A', 'B'],
    organizations: ['Shop'],
    postalCodes: ['12345'],
    streetAddresses: ['Road 1'],
    localities: ['Town'],
    provinces: ['State'],
    countries: ['DE'],
  };
  const rdns = decodeName(readDer(encodeSubject(parseSubject(subject))));
  expect(rdns.map((rdn) => rdn.map(({ value }) => value))).toEqual(
    ['DE', 'State', 'Town', 'Road 1', '12345', 'Shop', 'A', 'B', 'web', '42'].map((value) => [value]),
  );
  expect(nameText(rdns)).toBe(
    'serialNumber=42,CN=web,OU=B,OU=A,O=Shop,postalCode=12345,street=Road 1,L=Town,ST=State,C=DE',
  );
});

test('no attributes make an empty name', () => {
  expect(encodeSubject(parseSubject({ organizations: [] }))).toEqual(Buffer.from('3000', 'hex'));
});

test('duplicates in a list are dropped', () => {
  expect(parseSubject({ organizations: ['A', 'B', 'A'] })).toEqual({ organizations: ['A', 'B'] });
});

test.each([
  ['web 1', tag.printableString],
  ["A-Z '()+,./:=?", tag.printableString],
  ['*.shop.svc', tag.utf8String],
  ['a@b', tag.utf8String],
  ['a_b', tag.utf8String],
  ['a&b', tag.utf8String],
  ['größe', tag.utf8String],
])('%j is written as the string type that has its characters', (commonName, type) => {
  const [, value] = readDer(encodeSubject({ commonName })).children()[0]?.children()[0]?.children() ?? [];
  expect(value?.tag).toBe(type);
  expect(value?.content.toString('utf8')).toBe(commonName);
});

test.each<[string, Subject]>([
  ['a common name of 64 characters', { commonName: '💚'.repeat(64) }],
  ['a street of 128', { streetAddresses: ['x'.repeat(128)] }],
  ['what only looks dangerous', { commonName: 'a+b,c=d;e"f\\g#h<i>' }],
])('%s is allowed', (_, subject) => {
  expect(() => parseSubject(subject)).not.toThrow();
});

test.each<[Subject, string]>([
  [{ commonName: 'x'.repeat(65) }, 'has 65 characters'],
  [{ organizations: ['x'.repeat(65)] }, 'at most 64'],
  [{ localities: ['x'.repeat(129)] }, 'at most 128'],
  [{ postalCodes: ['1'.repeat(41)] }, 'at most 40'],
  [{ commonName: '' }, 'is empty'],
  [{ commonName: 'web\0evil' }, 'control character'],
  [{ commonName: 'web\n' }, 'control character'],
  [{ organizations: ['a\r\nb'] }, 'control character'],
  [{ organizations: ['a\u2028b'] }, 'control character'],
  [{ commonName: 'a\u202eb' }, 'control character'],
  [{ commonName: '\ud800' }, 'control character'],
  [{ commonName: ' web' }, 'begins or ends with a space'],
  [{ commonName: 'web\u00a0' }, 'begins or ends with a space'],
  [{ countries: ['de'] }, 'two capital letters'],
  [{ countries: ['DEU'] }, 'at most 2'],
  [{ countries: ['D1'] }, 'two capital letters'],
  [{ serialNumber: 'a_b' }, 'not allowed there'],
  [{ serialNumber: 'ü' }, 'not allowed there'],
  [{ organizations: Array.from({ length: 21 }, (_, i) => `o${i}`) }, 'at most 20'],
])('%j is refused', (subject, problem) => {
  const error = refusal(() => parseSubject(subject));
  expect(error.reason).toBe('InvalidSubject');
  expect(error.message).toContain(problem);
  expect(error.message).toMatch(/^[ -~]*$/);
});

test.each([
  ['a,b', 'CN=a\\,b'],
  ['a+b"c\\d<e>f;g', 'CN=a\\+b\\"c\\\\d\\<e\\>f\\;g'],
  ['#a', 'CN=\\#a'],
  ['größe', 'CN=größe'],
])('%j is shown escaped, as RFC 4514 says', (commonName, text) => {
  expect(roundTrip({ commonName })).toBe(text);
});

test('names of others are shown without control characters, whatever their string type', () => {
  const name = (type: number, content: Buffer) =>
    Buffer.concat([
      Buffer.from([
        0x30,
        content.length + 11,
        0x31,
        content.length + 9,
        0x30,
        content.length + 7,
        6,
        3,
        0x55,
        4,
        3,
        type,
        content.length,
      ]),
      content,
    ]);
  const shown = (type: number, content: Buffer) => nameText(decodeName(readDer(name(type, content))));
  expect(shown(tag.utf8String, Buffer.from('a\nb\0c'))).toBe('CN=a\\0Ab\\00c');
  expect(shown(tag.bmpString, Buffer.from('00e40062', 'hex'))).toBe('CN=äb');
  expect(shown(tag.teletexString, Buffer.from('e4', 'hex'))).toBe('CN=ä');
  expect(shown(tag.universalString, Buffer.from('00000061', 'hex'))).toBe('CN=\\#1c0400000061');
  expect(refusal(() => shown(tag.utf8String, Buffer.from('ff', 'hex'))).reason).toBe('InvalidDer');
});
