import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from './lines.ts';

function split(text: string, cuts: readonly number[], maxBytes = 1_000_000): { lines: string[]; pending: number } {
  const bytes = Buffer.from(text, 'utf8');
  const splitter = new LineSplitter(maxBytes);
  const at = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  const lines: string[] = [];
  let start = 0;
  for (const end of at) {
    lines.push(...splitter.push(bytes.subarray(start, end)).map((line) => line.toString('utf8')));
    start = end;
  }
  return { lines, pending: splitter.pending };
}

test('however the bytes are cut into chunks, the lines are the same, characters of several bytes included', () => {
  const text = fc.string({
    unit: fc.oneof(fc.constant('\n'), fc.constantFrom('a', 'ü', '🎈', '\u2028', ' ')),
    maxLength: 60,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(300), { maxLength: 10 }), (content, cuts) => {
      const parts = content.split('\n');
      const rest = parts.pop() ?? '';
      const { lines, pending } = split(content, cuts);
      expect(lines).toEqual(parts.filter((part) => part !== ''));
      expect(pending).toBe(Buffer.byteLength(rest));
    }),
  );
});

test('a line of exactly the largest size passes, a longer one does not, whole or in pieces', () => {
  expect(split(`${'x'.repeat(10)}\n`, [], 10).lines).toEqual(['x'.repeat(10)]);
  expect(() => split(`${'x'.repeat(11)}\n`, [], 10)).toThrow(RangeError);
  expect(() => split('x'.repeat(30), [3, 6, 9, 12], 10)).toThrow(RangeError);
});
