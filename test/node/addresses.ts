import { randomInt } from 'node:crypto';
import { z } from 'zod';

/** All addresses of one cluster with a node. */
export interface Addresses {
  /** Tells clusters on one machine apart; part of the name of a network interface. */
  readonly id: string;
  /** Everything below lies in it: one route leads there. */
  readonly block: string;
  /** This machine's end of the link to the node: here the API server serves. */
  readonly machine: string;
  readonly node: string;
  readonly linkPrefix: number;
  readonly pods: string;
  readonly services: string;
  readonly apiService: string;
  /** Where the cluster has both families. */
  readonly ipv6?: Ipv6Addresses;
}

export type Ipv6Addresses = Omit<Addresses, 'id' | 'apiService' | 'ipv6'>;

export function addressesIn(first: number, second: number): Addresses {
  const base = `${first}.${second}`;
  return {
    id: `${first}-${second}`,
    block: `${base}.0.0/16`,
    machine: `${base}.0.1`,
    node: `${base}.0.2`,
    linkPrefix: 30,
    pods: `${base}.64.0/18`,
    services: `${base}.128.0/17`,
    apiService: `${base}.128.1`,
  };
}

/** Unique local ones (RFC 4193), of a network that nobody else on this machine has, as the IPv4 block is its own. */
export function ipv6AddressesOf({ id }: Pick<Addresses, 'id'>): Ipv6Addresses {
  const [first, second] = id.split('-').map((part) => Number(part).toString(16));
  const network = `fd15:6d74:${first}:${second}`;
  return {
    block: `${network}::/64`,
    machine: `${network}::1`,
    node: `${network}::2`,
    linkPrefix: 126,
    pods: `${network}:1::/80`,
    services: `${network}:2::/112`,
  };
}

/** As flags have them: IPv4 first. */
export function bothFamilies(addresses: Addresses, what: 'node' | 'pods' | 'services'): string {
  const { [what]: ipv4, ipv6 } = addresses;
  return ipv6 === undefined ? ipv4 : `${ipv4},${ipv6[what]}`;
}

const routesSchema = z.array(z.object({ dst: z.string() }));

// Private ranges, those that people use least first.
const ranges: readonly (readonly [first: number, from: number, to: number])[] = [
  [10, 64, 254],
  [172, 16, 31],
  [100, 64, 127],
];

/**
 * A block of private addresses that no route of this machine touches, by the answer of `ip -json route show table all`: a VPN or a container
 * engine may have taken some. `taken` are ids that somebody else has got hold of meanwhile.
 */
export function chooseAddresses(
  routes: unknown,
  taken: ReadonlySet<string> = new Set(),
  random: (below: number) => number = (below) => randomInt(below),
): Addresses {
  const used = routesSchema.parse(routes).flatMap(({ dst }) => rangeOf(dst) ?? []);
  for (const [first, from, to] of ranges) {
    const free: Addresses[] = [];
    for (let second = from; second <= to; second++) {
      const low = first * 2 ** 24 + second * 2 ** 16;
      const high = low + 2 ** 16 - 1;
      const addresses = addressesIn(first, second);
      if (!taken.has(addresses.id) && !used.some((range) => range.low <= high && range.high >= low))
        free.push(addresses);
    }
    const chosen = free[random(Math.max(free.length, 1))];
    if (chosen !== undefined) return chosen;
  }
  throw new Error('every private range of addresses is in use on this machine: there is none left for a test cluster');
}

/** undefined for the default route and for IPv6. */
function rangeOf(destination: string): { readonly low: number; readonly high: number } | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(destination);
  if (found === null) return undefined;
  const [, a, b, c, d, prefix = '32'] = found;
  const size = 2 ** (32 - Number(prefix));
  if (size >= 2 ** 32) return undefined;
  const low = ((Number(a) * 256 + Number(b)) * 256 + Number(c)) * 256 + Number(d);
  return { low, high: low + size - 1 };
}
