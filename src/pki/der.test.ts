import { expect, test } from 'vitest';
import {
  context,
  Element,
  encode,
  objectIdentifier,
  octets,
  readDer,
  sequence,
  smallInteger,
  tag,
  wrap,
} from './der.ts';
import { refusal, refusalReason } from './testing.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('what is written is read back, with its original bytes', () => {
  const der = encode(
    sequence(objectIdentifier('1.2.840.10045.3.1.7'), smallInteger(2), octets(Buffer.from('content'))),
  );
  const [id, number, content] = readDer(der).children();
  expect(id?.oid()).toBe('1.2.840.10045.3.1.7');
  expect(number?.der).toEqual(hex('020102'));
  expect(content?.content.toString()).toBe('content');
});

test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 70_000])(
  'a value of %i bytes is wrapped with the shortest length',
  (length) => {
    const der = wrap(tag.octetString, Buffer.alloc(length, 7));
    const headerLength = length < 128 ? 2 : length < 256 ? 3 : length < 65_536 ? 4 : 5;
    expect(der.length).toBe(headerLength + length);
    expect(der.subarray(headerLength)).toEqual(Buffer.alloc(length, 7));
    if (der.length <= 65_536) expect(readDer(der)).toBeInstanceOf(Element);
  },
);

test.each([
  ['nothing at all', ''],
  ['a lone identifier', '30'],
  ['content that ends early', '3003 0201'],
  ['a value longer than what holds it', '3003 020201'],
  ['an indefinite length', '3080 0000'],
  ['a length in two bytes where one does', '308103 020101'],
  ['a length with a leading zero', '30820003 020101'],
  ['a length of four bytes', '30840000000a'],
  ['the reserved length 0xff', '30ff'],
  ['bytes after the end', '3000 00'],
  ['a long tag', '1f8101 00'],
  ['a constructed string', '2403 040100'],
  ['a primitive sequence', '1000'],
  ['half a BMPString character', '1e01 41'],
  ['a context tag that forge would read as BMPString', '9e02 4142'],
])('%s is refused', (_, text) => {
  expect(refusalReason(() => readDer(hex(text)))).toBe('InvalidDer');
});

test('nesting deeper than any certificate is refused without recursion', () => {
  let der: Buffer = Buffer.alloc(0);
  for (let i = 0; i < 10_000; i++) der = wrap(tag.sequence, der);
  expect(refusal(() => readDer(der)).message).toContain('nested deeper');
});

test('more bytes or values than any certificate has are refused', () => {
  expect(refusalReason(() => readDer(wrap(tag.octetString, Buffer.alloc(70_000))))).toBe('TooLarge');
  expect(refusalReason(() => readDer(wrap(tag.sequence, Buffer.alloc(20_000, hex('0500')))))).toBe('TooLarge');
});

test.each([
  ['empty', '0600'],
  ['unfinished', '0602 2a86'],
  ['padded', '0603 2a8001'],
  ['of another type', '0401 2a'],
])('an object identifier that is %s is refused', (_, text) => {
  expect(refusalReason(() => readDer(hex(text)).oid())).toBe('InvalidDer');
});

test('an object identifier with a number past 53 bits is still told apart from others', () => {
  expect(readDer(hex('060b 69 ffffffffffffffffff 7f')).oid()).toBe('#69ffffffffffffffffff7f');
});

test('context tags are written as identifier octets', () => {
  expect([context(0, true), context(2, false), context(3, true)]).toEqual([0xa0, 0x82, 0xa3]);
});
