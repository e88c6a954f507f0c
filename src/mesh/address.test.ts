import { expect, test } from 'vitest';
import { canonicalAddress, familyOf } from './address.ts';

test.each([
  ['IPv4', '10.0.0.1', '10.0.0.1'],
  ['IPv4 of old objects, with zeros', '010.000.00.09', '10.0.0.9'],
  ['IPv6', 'FD00:0:0:0::A', 'fd00::a'],
  ['IPv6 as Envoy prints it where its end could be IPv4', '::10.0.0.1', '::a00:1'],
  ['IPv4 as a socket of both families shows it', '::ffff:10.0.0.1', '10.0.0.1'],
  ['a number that is too large', '256.0.0.1', undefined],
  ['a name', 'web.example.com', undefined],
  ['None, which headless Services have', 'None', undefined],
  ['an address with a zone', 'fe80::1%eth0', undefined],
  ['nothing', '', undefined],
])('%s', (_, text, expected) => {
  expect(canonicalAddress(text)).toBe(expected);
});

test('the family of an address', () => {
  expect([familyOf('10.0.0.1'), familyOf('fd00::1')]).toEqual(['IPv4', 'IPv6']);
});
