/**
 * What is redirected to the proxy, as one file for nft: atomic, and the same again if it is loaded again. IPv4 and IPv6 alike. Pure, and apart from how it is loaded: by a container of the
 * pod, or by a CNI plugin.
 */
import { canonicalCidr } from '../api/index.ts';
import { loopbackSources, probeSources, proxyPorts } from '../envoy/index.ts';

/** Envoy's user and group: what it sends is not redirected to it again. */
export const PROXY_USER = 1337;

const TABLE = 'mtls_operator';

export interface Redirection {
  /** Container ports that the proxy does not stand before. */
  readonly inboundPortsExcluded: readonly number[];
  /** Ports of destinations that are dialled past the proxy. */
  readonly outboundPortsExcluded: readonly number[];
  /** Ranges of destinations that are dialled past the proxy, as CIDRs. */
  readonly outboundRangesExcluded: readonly string[];
}

/** @returns the text of a file for `nft -f`. Everything in it is a number or was parsed as a CIDR: nothing that a user wrote reaches nft as it is. */
export function redirectionRules(redirection: Redirection): string {
  const { inboundPortsExcluded, outboundPortsExcluded, outboundRangesExcluded } = redirection;
  const except = (ports: readonly number[], of = ''): string[] =>
    ports.length === 0 ? [] : [`    ${of}tcp dport { ${[...new Set(ports.map(port))].join(', ')} } return`];
  // A line each: nft takes no set of ranges that overlap.
  const ranges = outboundRangesExcluded
    .map(range)
    .map((text) => `    ${text.includes(':') ? 'ip6' : 'ip'} daddr ${text} return`);
  const own = (family: 'ipv4' | 'ipv6'): string => `{ ${loopbackSources[family]}, ${probeSources[family]} }`;
  return [
    // Named before it is deleted: to delete what is not there is an error.
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    '  chain inbound {',
    '    type nat hook prerouting priority dstnat; policy accept;',
    '    meta l4proto != tcp return',
    ...except([proxyPorts.probes, ...inboundPortsExcluded]),
    `    meta l4proto tcp redirect to :${proxyPorts.inbound}`,
    '  }',
    '  chain outbound {',
    '    type nat hook output priority -100; policy accept;',
    '    meta l4proto != tcp return',
    // From the proxy to its own application.
    `    oifname "lo" ip saddr ${own('ipv4')} return`,
    `    oifname "lo" ip6 saddr ${own('ipv6')} return`,
    // From the application to a port of its own before which the proxy does not stand.
    ...except(inboundPortsExcluded, `oifname "lo" meta skuid ${PROXY_USER} `),
    // From the application through the proxy to its own Service, and so to itself.
    `    oifname "lo" meta skuid ${PROXY_USER} ip daddr != 127.0.0.1 meta l4proto tcp redirect to :${proxyPorts.inbound}`,
    `    oifname "lo" meta skuid ${PROXY_USER} ip6 daddr != ::1 meta l4proto tcp redirect to :${proxyPorts.inbound}`,
    `    meta skuid ${PROXY_USER} return`,
    '    ip daddr 127.0.0.0/8 return',
    '    ip6 daddr ::1 return',
    ...except(outboundPortsExcluded),
    ...ranges,
    `    meta l4proto tcp redirect to :${proxyPorts.outbound}`,
    '  }',
    '}',
    '',
  ].join('\n');
}

function port(value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw new RangeError(`${value} is no port`);
}

function range(text: string): string {
  const canonical = canonicalCidr(text);
  if (canonical !== undefined) return canonical;
  throw new RangeError(`${JSON.stringify(text)} is no range of addresses: write a CIDR, as in 192.0.2.0/24`);
}
