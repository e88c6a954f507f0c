import { expect, test } from 'vitest';
import { isAtLeast, parseGoVersion } from './go.ts';

test.each([
  ['go version go1.26.8 linux/amd64', [1, 26, 8]],
  ['go version go1.19 linux/arm64', [1, 19, 0]],
  ['go version go1.27rc1 darwin/arm64', [1, 27, 0]],
  ['1.26.0', [1, 26, 0]],
  ['go: no such tool', undefined],
])('the version in %j is %j', (text, version) => {
  expect(parseGoVersion(text)).toEqual(version);
});

test.each([
  [[1, 26, 0], [1, 26, 0], true],
  [[1, 26, 8], [1, 26, 0], true],
  [[1, 27, 0], [1, 26, 8], true],
  [[2, 0, 0], [1, 26, 0], true],
  [[1, 25, 9], [1, 26, 0], false],
  [[1, 26, 0], [1, 26, 1], false],
] as const)('%j is at least %j: %j', (version, needed, answer) => {
  expect(isAtLeast(version, needed)).toBe(answer);
});
