import { describe, expect, test } from 'vitest';
import { pod } from './builders.fixture.ts';
import { SidecarAccounts } from './sidecarAccounts.ts';

const WEB = 'shop/mtls-proxy-web';
const CART = 'shop/mtls-proxy-cart';

describe('the certificate of an account', () => {
  test('is needed from its first pod with a sidecar to the end of its last', () => {
    const accounts = new SidecarAccounts();
    expect(accounts.apply({ key: 'shop/a', after: pod('web') })).toEqual([WEB]);
    expect(accounts.apply({ key: 'shop/b', after: pod('web') })).toEqual([]);
    expect(accounts.get(WEB)?.account).toBe('web');
    expect(accounts.apply({ key: 'shop/a', before: pod('web') })).toEqual([]);
    expect(accounts.get(WEB)).toBeDefined();
    expect(accounts.apply({ key: 'shop/b', before: pod('web') })).toEqual([WEB]);
    expect(accounts.get(WEB)).toBeUndefined();
    expect([...accounts.keys()]).toEqual([]);
  });

  test('is not needed by a pod without a sidecar, nor by one that has ended', () => {
    const accounts = new SidecarAccounts();
    expect(accounts.apply({ key: 'shop/a', after: pod('web', { sidecar: false }) })).toEqual([]);
    accounts.apply({ key: 'shop/b', after: pod('web') });
    const ended = { ...pod('web'), mesh: undefined };
    expect(accounts.apply({ key: 'shop/b', before: pod('web'), after: ended })).toEqual([WEB]);
    expect(accounts.apply({ key: 'shop/b', before: ended })).toEqual([]);
  });

  test('does not change while a pod of it does', () => {
    const accounts = new SidecarAccounts();
    accounts.apply({ key: 'shop/a', after: pod('web') });
    expect(accounts.apply({ key: 'shop/a', before: pod('web'), after: pod('web') })).toEqual([]);
    expect(accounts.apply({ key: 'shop/a', before: pod('web') })).toEqual([WEB]);
  });

  test('gives way to that of another, where a pod of the same name is made anew with that', () => {
    const accounts = new SidecarAccounts();
    accounts.apply({ key: 'shop/a', after: pod('web') });
    expect(accounts.apply({ key: 'shop/a', before: pod('web'), after: pod('cart') })).toEqual([CART, WEB]);
    expect([...accounts.keys()]).toEqual([CART]);
  });

  test('is of its namespace alone', () => {
    const accounts = new SidecarAccounts();
    accounts.apply({ key: 'shop/a', after: pod('web') });
    expect(accounts.apply({ key: 'bank/a', after: pod('web') })).toEqual(['bank/mtls-proxy-web']);
  });
});
