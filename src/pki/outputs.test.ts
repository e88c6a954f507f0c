import { expect, test } from 'vitest';
import { combinedPem } from './outputs.ts';

test('key and chain make one text, each part on lines of its own', () => {
  expect(combinedPem('key\n', 'leaf\nca\n')).toBe('key\nleaf\nca\n');
  expect(combinedPem('key', 'leaf')).toBe('key\nleaf\n');
});
