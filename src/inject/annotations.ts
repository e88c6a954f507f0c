/** What people write on a pod for its proxy. Pure; a value that cannot be read is refused by name, never passed over. */
import { annotations, canonicalCidr } from '../api/index.ts';
import type { Redirection } from './redirection.ts';

export interface Wishes extends Redirection {
  /** Container ports whose servers speak first, by number or name. */
  readonly serverFirst: readonly (number | string)[];
  readonly resources: ProxyResources;
}

/** Quantities as Kubernetes has them. */
export interface ProxyResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** An annotation that is wrong: which, and what to write. */
export class AnnotationError extends Error {
  override readonly name = 'AnnotationError';
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
  const quantity = (key: string, of: string, fallback: Readonly<Record<string, string>>): Record<string, string> => {
    const value = found[key] ?? fallback[of];
    if (value === undefined) return {};
    if (QUANTITY.test(value)) return { [of]: value };
    throw new AnnotationError(
      `annotation ${key} is ${JSON.stringify(value.slice(0, 100))}: write a quantity, as in 100m or 128Mi`,
    );
  };
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
    resources: {
      requests: {
        ...quantity(annotations.proxyCpuRequest, 'cpu', defaults.requests),
        ...quantity(annotations.proxyMemoryRequest, 'memory', defaults.requests),
      },
      limits: {
        ...quantity(annotations.proxyCpuLimit, 'cpu', defaults.limits),
        ...quantity(annotations.proxyMemoryLimit, 'memory', defaults.limits),
      },
    },
  };
}

/** Positive, in the forms that people write; the API server judges it again. */
const QUANTITY = /^(?!0+(\.0*)?\D*$)[0-9]{1,15}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/;

function portNumber(word: string): number | undefined {
  const value = Number(word);
  return /^\d{1,5}$/.test(word) && value >= 1 && value <= 65_535 ? value : undefined;
}

function portName(word: string): string | undefined {
  return word.length <= 15 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(word) && /[a-z]/.test(word) ? word : undefined;
}
