import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareResourceVersions, identify, keyOf, resourcePath, splitKey } from './resource.ts';

const secrets = { group: '', version: 'v1', plural: 'secrets' };
const leases = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

test.each([
  [resourcePath(secrets), '/api/v1/secrets'],
  [resourcePath(secrets, 'shop'), '/api/v1/namespaces/shop/secrets'],
  [resourcePath(secrets, 'shop', 'web'), '/api/v1/namespaces/shop/secrets/web'],
  [resourcePath(leases, 'a', 'b', 'status'), '/apis/coordination.k8s.io/v1/namespaces/a/leases/b/status'],
  [resourcePath(leases, undefined, 'b'), '/apis/coordination.k8s.io/v1/leases/b'],
  [resourcePath(secrets, '../../x', 'a/b?c#d'), '/api/v1/namespaces/..%2F..%2Fx/secrets/a%2Fb%3Fc%23d'],
])('%s', (path, expected) => {
  expect(path).toBe(expected);
});

test('keys are put together and taken apart', () => {
  expect(keyOf('shop', 'web')).toBe('shop/web');
  expect(keyOf(undefined, 'web')).toBe('web');
  expect(splitKey('shop/web')).toEqual({ namespace: 'shop', name: 'web' });
  expect(splitKey('web')).toEqual({ name: 'web' });
});

describe('identify', () => {
  test.each([
    [{ metadata: { name: 'web', namespace: 'shop', resourceVersion: '1' } }, 'shop/web'],
    [{ metadata: { name: 'web', resourceVersion: '1' } }, 'web'],
    [{ metadata: { name: 'web', namespace: '', resourceVersion: '1' } }, 'web'],
    [{ metadata: { name: 'web', namespace: 7, resourceVersion: '1' } }, 'web'],
    [{ metadata: { name: '', resourceVersion: '1' } }, undefined],
    [{ metadata: { name: 'web' } }, undefined],
    [{ metadata: { name: 'web', resourceVersion: 1 } }, undefined],
    [{ metadata: null }, undefined],
    [{ metadata: [] }, undefined],
    [null, undefined],
    ['x', undefined],
  ])('%j', (object, key) => {
    expect(identify(object)?.key).toBe(key);
  });
});

describe('compareResourceVersions', () => {
  test('orders as the integers that they are, of any length', () => {
    const positive = fc.bigInt({ min: 1n, max: 10n ** 40n });
    fc.assert(
      fc.property(positive, positive, (a, b) => {
        expect(Math.sign(compareResourceVersions(`${a}`, `${b}`) ?? Number.NaN)).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  test.each(['', '0', '01', '-1', '1.0', ' 1', 'abc', '１'])('knows nothing about %j', (text) => {
    expect(compareResourceVersions(text, '1')).toBeUndefined();
    expect(compareResourceVersions('1', text)).toBeUndefined();
  });
});
