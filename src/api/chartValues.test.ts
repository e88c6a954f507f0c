import { expect, test } from 'vitest';
import { chartValues, chartValuesPage } from './chartValues.ts';

const text = `# About the file.

# The first.
first: 1

group:
  # Inside,
  # on two lines.
  inner: [a|b]
  # Last.
  last: {}
`;

test('every value has its path, its default and its comment', () => {
  expect(chartValues(text)).toEqual([
    { path: 'first', fallback: '1', meaning: 'The first.' },
    { path: 'group.inner', fallback: '["a|b"]', meaning: 'Inside, on two lines.' },
    { path: 'group.last', fallback: '{}', meaning: 'Last.' },
  ]);
});

test('a value without comment is refused', () => {
  expect(() => chartValues('group:\n  # One.\n  a: 1\n  b: 2\n')).toThrow('group.b has no comment in values.yaml');
});

test('a bar does not end a cell', () => {
  expect(chartValuesPage(text)).toContain('| `group.inner` | `["a\\|b"]` | Inside, on two lines. |');
});
