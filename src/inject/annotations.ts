/** What people write on a pod for its proxy. Pure; a value that cannot be read is refused by name, never passed over. */
import { annotations, canonicalCidr } from '../api/index.ts';
import { AnnotationError } from './annotationError.ts';
import { type ProxyResources, readResources } from './proxyResources.ts';
import type { Redirection } from './redirection.ts';

export interface Wishes extends Redirection {
  /** Container ports whose servers speak first, by number or name. */
  readonly serverFirst: readonly (number | string)[];
  readonly resources: ProxyResources;
}

/** @param defaults of the installation. */
export function readWishes(
  found: Readonly<Record<string, string>>,
  defaults: ProxyResources = { requests: {}, limits: {} },
): Wishes {
  const list = <T>(key: string, read: (word: string) => T | undefined, advice: string): T[] =>
    (found[key] ?? '')
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '')
      .map((word) => {
        const value = read(word);
        if (value !== undefined) return value;
        throw new AnnotationError(`annotation ${key} has ${JSON.stringify(word.slice(0, 100))}: ${advice}`);
      });
  const ports = 'write numbers of ports, as in 8080,9090';
  return {
    inboundPortsExcluded: list(annotations.excludeInboundPorts, portNumber, ports),
    outboundPortsExcluded: list(annotations.excludeOutboundPorts, portNumber, ports),
    outboundRangesExcluded: list(annotations.excludeOutboundRanges, canonicalCidr, 'write CIDRs, as in 192.0.2.0/24'),
    serverFirst: list(
      annotations.serverFirstPorts,
      (word) => portNumber(word) ?? portName(word),
      'write numbers or names of container ports, as in 3306,smtp',
    ),
    resources: readResources(found, defaults),
  };
}

function portNumber(word: string): number | undefined {
  const value = Number(word);
  return /^\d{1,5}$/.test(word) && value >= 1 && value <= 65_535 ? value : undefined;
}

function portName(word: string): string | undefined {
  return word.length <= 15 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(word) && /[a-z]/.test(word) ? word : undefined;
}
