import { expect, test } from 'vitest';
import { addressesIn, chooseAddresses, ipv6AddressesOf } from './addresses.ts';

const routes = (...destinations: readonly string[]) => destinations.map((dst) => ({ dst }));
const first = () => 0;

test('everything of a cluster lies in its block, and nothing overlaps', () => {
  expect(addressesIn(10, 64)).toEqual({
    id: '10-64',
    block: '10.64.0.0/16',
    machine: '10.64.0.1',
    node: '10.64.0.2',
    linkPrefix: 30,
    pods: '10.64.64.0/18',
    services: '10.64.128.0/17',
    apiService: '10.64.128.1',
  });
});

test('so do those of IPv6, beside it', () => {
  expect(ipv6AddressesOf({ id: '10-100' })).toEqual({
    block: 'fd15:6d74:a:64::/64',
    machine: 'fd15:6d74:a:64::1',
    node: 'fd15:6d74:a:64::2',
    linkPrefix: 126,
    pods: 'fd15:6d74:a:64:1::/80',
    services: 'fd15:6d74:a:64:2::/112',
  });
});

test.each([
  ['nothing but a default route', routes('default', '0.0.0.0/0', '127.0.0.0/8'), '10.64.0.0/16'],
  ['the first block', routes('10.64.0.0/16'), '10.65.0.0/16'],
  ['an address in the first block', routes('10.64.12.7'), '10.65.0.0/16'],
  ['a network that holds several blocks', routes('10.64.0.0/14'), '10.68.0.0/16'],
  ['a VPN that has all of 10', routes('10.0.0.0/8'), '172.16.0.0/16'],
  ['a VPN and a container engine', routes('10.0.0.0/8', '172.16.0.0/13'), '172.24.0.0/16'],
  ['all private networks', routes('10.0.0.0/8', '172.16.0.0/12'), '100.64.0.0/16'],
  ['IPv6', routes('fd00::/8', '::1'), '10.64.0.0/16'],
])('on a machine with routes to %s the block is free', (_, of, block) => {
  expect(chooseAddresses(of, new Set(), first).block).toBe(block);
});

test('a block that somebody else has got hold of is left alone', () => {
  expect(chooseAddresses([], new Set(['10-64', '10-65']), first).block).toBe('10.66.0.0/16');
});

test('that there is none left is said', () => {
  const all = routes('10.0.0.0/8', '172.16.0.0/12', '100.64.0.0/10');
  expect(() => chooseAddresses(all, new Set(), first)).toThrow(/every private range/);
});

test('an answer that is none is refused', () => {
  expect(() => chooseAddresses({ error: 'what?' }, new Set(), first)).toThrow();
});
