/**
 * IP addresses and CIDRs as the API server's CEL library judges them: no zone, no leading zeros, no IPv4 in the guise
 * of IPv6.
 */
import { isIP } from 'node:net';

/** The canonical text (RFC 5952 for IPv6), or undefined if it is not an address. */
export function canonicalIp(text: string): string | undefined {
  const bytes = ipBytes(text);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return bytes.join('.');
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

/** The CIDR with all host bits zero and in canonical text, or undefined if it is not a CIDR. */
export function canonicalCidr(text: string): string | undefined {
  const slash = text.indexOf('/');
  const address = text.slice(0, Math.max(slash, 0));
  const prefix = text.slice(slash + 1);
  const bytes = ipBytes(address);
  if (bytes === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(prefix)) return undefined;
  const bits = Number(prefix);
  if (bits > bytes.length * 8) return undefined;
  const masked = bytes.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8))) & 0xff);
  return `${ipText(masked)}/${bits}`;
}

/** 4 or 16 bytes, or undefined. */
function ipBytes(text: string): readonly number[] | undefined {
  if (text.includes('%')) return undefined;
  const family = isIP(text);
  if (family === 4) return text.split('.').map(Number);
  if (family !== 6) return undefined;
  const bytes = ipv6Bytes(new URL(`http://[${text}]`).hostname.slice(1, -1));
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? undefined : bytes;
}

/** @param canonical IPv6 as the URL parser writes it: hexadecimal groups only, at most one `::`. */
function ipv6Bytes(canonical: string): readonly number[] {
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return [...front, ...zeros, ...back].flatMap((group) => [group >> 8, group & 0xff]);
}

function ipText(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups: string[] = [];
  for (let index = 0; index < bytes.length; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
