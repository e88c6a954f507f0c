import { BlockList, isIPv4 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalCidr, canonicalIp } from './ip.ts';

describe('canonicalIp', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['::', '::'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('writes %s as %s', (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  test.each([
    '',
    '192.0.2',
    '192.0.2.256',
    '192.0.02.1',
    '0x7f.1',
    ' 192.0.2.1',
    'fe80::1%eth0',
    '[::1]',
    '::ffff:192.0.2.1',
    '::FFFF:c000:201',
    '1::2::3',
    '::1\n',
  ])('takes %j for no address', (text) => {
    expect(canonicalIp(text)).toBeUndefined();
  });

  test('is a fixed point', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = canonicalIp(text);
        if (canonical !== undefined) expect(canonicalIp(canonical)).toBe(canonical);
      }),
    );
  });
});

describe('canonicalCidr', () => {
  test.each([
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['192.0.2.129/25', '192.0.2.128/25'],
    ['192.0.2.1/0', '0.0.0.0/0'],
    ['192.0.2.1/32', '192.0.2.1/32'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['2001:db8::ff/121', '2001:db8::80/121'],
    ['::1/128', '::1/128'],
  ])('writes %s as %s', (text, canonical) => {
    expect(canonicalCidr(text)).toBe(canonical);
  });

  test.each([
    '',
    '/',
    '192.0.2.0',
    '192.0.2.0/',
    '/24',
    '192.0.2.0/33',
    '::/129',
    '192.0.2.0/024',
    '192.0.2.0/+8',
    '192.0.2.0/8/8',
    '::ffff:192.0.2.0/120',
    '192.0.2/24',
  ])('takes %j for no CIDR', (text) => {
    expect(canonicalCidr(text)).toBeUndefined();
  });

  test('keeps the address within its range', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(32), (address, prefix) => {
        const [network = '', bits] = canonicalCidr(`${address}/${prefix}`)?.split('/') ?? [];
        expect(isIPv4(network)).toBe(true);
        const range = new BlockList();
        range.addSubnet(network, Number(bits), 'ipv4');
        expect(range.check(address, 'ipv4')).toBe(true);
      }),
    );
  });
});
