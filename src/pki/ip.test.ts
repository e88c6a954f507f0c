import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToIp, ipToBytes, parseIpAddress } from './ip.ts';
import { refusal } from './testing.ts';

// The examples of RFC 5952 are among these.
test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['2001:db8::1', '2001:db8::1'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::192.0.2.33', '::c000:221'],
])('%s becomes %s', (text, canonical) => {
  expect(parseIpAddress(text)).toBe(canonical);
});

test.each([
  ['::ffff:192.0.2.7', 'Ipv4MappedAddress', 'write 192.0.2.7'],
  ['::FFFF:c000:207', 'Ipv4MappedAddress', 'write 192.0.2.7'],
  ['fe80::1%eth0', 'InvalidIpAddress', 'without what follows the %'],
  ['10.0.0.0/8', 'InvalidIpAddress', 'list each one'],
  ['2001:db8::/32', 'InvalidIpAddress', 'list each one'],
  ['', 'InvalidIpAddress', 'not an IP address'],
  ['1.2.3', 'InvalidIpAddress', 'not an IP address'],
  ['1.2.3.4.5', 'InvalidIpAddress', 'not an IP address'],
  ['01.2.3.4', 'InvalidIpAddress', 'not an IP address'],
  ['256.0.0.1', 'InvalidIpAddress', 'not an IP address'],
  ['0x7f.0.0.1', 'InvalidIpAddress', 'not an IP address'],
  ['2130706433', 'InvalidIpAddress', 'not an IP address'],
  ['[::1]', 'InvalidIpAddress', 'not an IP address'],
  ['::1::', 'InvalidIpAddress', 'not an IP address'],
  ['1:2:3:4:5:6:7', 'InvalidIpAddress', 'not an IP address'],
  ['12345::', 'InvalidIpAddress', 'not an IP address'],
  [' 192.0.2.7', 'InvalidIpAddress', 'not an IP address'],
  ['192.0.2.7\n', 'InvalidIpAddress', 'not an IP address'],
  ['192.0.2.7\0', 'InvalidIpAddress', 'not an IP address'],
  ['١.٢.٣.٤', 'InvalidIpAddress', 'not an IP address'],
])('%j is refused', (text, reason, advice) => {
  const error = refusal(() => parseIpAddress(text));
  expect(error.reason).toBe(reason);
  expect(error.message).toContain(advice);
});

test('octets become text and the same octets again', () => {
  const octet = fc.oneof(fc.constant(0), fc.nat(255));
  const octets = fc.oneof(
    fc.array(octet, { minLength: 4, maxLength: 4 }),
    fc.array(octet, { minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(octets.map(Buffer.from), (bytes) => {
      fc.pre(
        bytes.length === 4 || bytes.subarray(0, 10).some((o) => o !== 0) || bytes[10] !== 0xff || bytes[11] !== 0xff,
      );
      expect(ipToBytes(bytesToIp(bytes))).toEqual(bytes);
    }),
  );
});

test('a mapped address in a certificate of others keeps its form', () => {
  expect(bytesToIp(Buffer.from('00000000000000000000ffffc0000207', 'hex'))).toBe('::ffff:c000:207');
});
