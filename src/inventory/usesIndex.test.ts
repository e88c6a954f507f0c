import { expect, test } from 'vitest';
import type { PodRecord } from './pod.ts';
import { UsesIndex } from './usesIndex.ts';

const record = (...secrets: readonly string[]): PodRecord => ({
  resourceVersion: '1',
  uses: secrets.map((secret) => ({ secret, startedAt: 1, frozenAt: undefined })),
  shape: undefined,
  mesh: undefined,
});

test('pods are found by the Secrets that they use, for as long as they use them', () => {
  const index = new UsesIndex();
  const [a, b] = [record('web', 'db'), record('web')];
  expect(index.apply({ key: 'shop/a', after: a })).toEqual(['shop/web', 'shop/db']);
  expect(index.apply({ key: 'shop/b', after: b })).toEqual(['shop/web']);
  index.apply({ key: 'bank/a', after: b });
  expect([...index.of('shop/web')]).toEqual(['shop/a', 'shop/b']);
  expect(index.apply({ key: 'shop/a', before: a, after: b })).toEqual(['shop/db']);
  expect(index.apply({ key: 'shop/b', before: b })).toEqual(['shop/web']);
  expect([...index.of('shop/web')]).toEqual(['shop/a']);
  expect([...index.secrets()].sort()).toEqual(['bank/web', 'shop/web']);
});

test('what changes nothing about Secrets is no news, and a container that was started anew is', () => {
  const index = new UsesIndex();
  const before = record('web');
  index.apply({ key: 'shop/a', after: before });
  expect(index.apply({ key: 'shop/a', before, after: { ...record('web'), resourceVersion: '2' } })).toEqual([]);
  const anew: PodRecord = {
    ...before,
    resourceVersion: '3',
    uses: [{ secret: 'web', startedAt: 2, frozenAt: undefined }],
  };
  expect(index.apply({ key: 'shop/a', before, after: anew })).toEqual(['shop/web']);
});
