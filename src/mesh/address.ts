/** Addresses of pods, Services and endpoints as keys: however one is written, it is one text. */
import { isIP } from 'node:net';
import { canonicalIp } from '../api/index.ts';

/** As EndpointSlices and Services name them. */
export type Family = 'IPv4' | 'IPv6';

const MAPPED = /^::ffff:([0-9.]+)$/i;
const DOTTED = /^\d+\.\d+\.\d+\.\d+$/;

/**
 * The canonical text of an address of the API or of a proxy; undefined: it is none. As kube-proxy reads them: an old object may have IPv4 with leading zeros, which are
 * decimal there (KEP-4858), and a socket of both families shows an IPv4 peer as IPv6.
 */
export function canonicalAddress(text: string): string | undefined {
  const [, unmapped] = MAPPED.exec(text) ?? [];
  const address = unmapped ?? text;
  return canonicalIp(DOTTED.test(address) ? address.split('.').map(Number).join('.') : address);
}

/** The family of a canonical address. */
export function familyOf(address: string): Family {
  return isIP(address) === 6 ? 'IPv6' : 'IPv4';
}

/** Text order that is the same on every machine. */
export function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
