// IP addresses as text (RFC 5952) and as the 4 or 16 octets of a certificate.

import { isIPv4, isIPv6 } from 'node:net';
import { PkiError, quote } from './errors.ts';

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * An IPv4 or IPv6 address from outside in its canonical text: IPv6 in lower case, shortened as RFC 5952 says.
 * @throws PkiError InvalidIpAddress; Ipv4MappedAddress for ::ffff:a.b.c.d, which programs compare as IPv4 and certificates do not
 */
export function parseIpAddress(text: string): string {
  return bytesToIp(ipToBytes(text));
}

/** The 4 or 16 octets of an address. Throws as parseIpAddress. */
export function ipToBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (text.includes('%')) {
    throw new PkiError(
      'InvalidIpAddress',
      `${quote(text)} has a zone`,
      'write it without what follows the %: a zone means something on one host only',
    );
  }
  if (text.includes('/')) {
    throw new PkiError(
      'InvalidIpAddress',
      `${quote(text)} is a range`,
      'a certificate holds single addresses: list each one',
    );
  }
  if (!isIPv6(text)) throw new PkiError('InvalidIpAddress', `${quote(text)} is not an IP address`);
  const bytes = ipv6ToBytes(text);
  if (bytes.subarray(0, 12).equals(MAPPED_PREFIX)) {
    throw new PkiError(
      'Ipv4MappedAddress',
      `${quote(text)} is an IPv4 address written as IPv6`,
      `write ${bytes.subarray(12).join('.')}`,
    );
  }
  return bytes;
}

/** The octets of an address that `bytesToIp` wrote, mapped ones of certificates of others included. */
export const canonicalIpToBytes = (text: string): Buffer => (isIPv4(text) ? ipToBytes(text) : ipv6ToBytes(text));

/** `text` has passed isIPv6. */
function ipv6ToBytes(text: string): Buffer {
  const dotted = text.lastIndexOf('.') < 0 ? undefined : text.slice(text.lastIndexOf(':') + 1);
  const tail = dotted?.split('.').map(Number);
  const hexadecimal = dotted === undefined ? text : text.slice(0, -dotted.length);
  const [head = '', rest] = hexadecimal.split('::');
  const before = groupBytes(head);
  const after = [...(rest === undefined ? [] : groupBytes(rest)), ...(tail ?? [])];
  return Buffer.from([...before, ...new Array<number>(16 - before.length - after.length).fill(0), ...after]);
}

const groupBytes = (groups: string): number[] =>
  groups
    .split(':')
    .filter((group) => group !== '')
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);

/** Canonical text of 4 or 16 octets. Mapped addresses, which only certificates of others have, keep their IPv6 form. */
export function bytesToIp(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new PkiError('InvalidIpAddress', `an IP address of ${bytes.length} octets`);
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  const zeros = longestZeroRun(groups);
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (zeros === undefined) return text(groups);
  return `${text(groups.slice(0, zeros.start))}::${text(groups.slice(zeros.start + zeros.length))}`;
}

/** The first of the longest runs of at least two zero groups. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } | undefined {
  let best: { start: number; length: number } | undefined;
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i - start + 1 > Math.max(best?.length ?? 0, 1)) best = { start, length: i - start + 1 };
  });
  return best;
}
