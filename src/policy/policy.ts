/** An MTLSPolicy as the effective mode is found from it: read once, asked many times. */
import { type Mode, type MTLSPolicy, parseTime, type Scope } from '../api/index.ts';

export type Labels = Readonly<Record<string, string>>;

/** One entry of spec.ports. */
export interface PortRule {
  /** Where it stands in spec.ports, from 0. */
  readonly index: number;
  readonly port: number | undefined;
  readonly portName: string | undefined;
  readonly mode: Mode;
  /** When it ends (ms); Infinity: never. */
  readonly until: number;
}

export interface Policy {
  /** namespace/name */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** Another one whenever it says something else. */
  readonly version: string;
  /** When it was made (ms). */
  readonly created: number;
  /** Labels that a pod must have; undefined: every pod. */
  readonly selector: readonly (readonly [key: string, value: string])[] | undefined;
  readonly mode: Mode | undefined;
  readonly minimum: Mode | undefined;
  readonly ports: readonly PortRule[];
  /** When each entry of spec.exceptions ends (ms), in their order; Infinity: never. */
  readonly exceptionsUntil: readonly number[];
  /** Whether a change to Strict is to wait until nobody speaks plaintext. */
  readonly guarded: boolean;
}

/** @throws RangeError where a time in it cannot be read, which the schema refuses. */
export function readPolicy({ metadata, spec }: MTLSPolicy): Policy {
  const { namespace, name, creationTimestamp, generation, uid } = metadata;
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    version: `${uid} ${generation}`,
    created: timeOf(creationTimestamp ?? '1970-01-01T00:00:00Z'),
    selector: spec.selector === undefined ? undefined : Object.entries(spec.selector.matchLabels),
    mode: spec.mode,
    minimum: spec.minimum,
    ports: (spec.ports ?? []).map(({ port, portName, mode, until }, index) => ({
      index,
      port,
      portName,
      mode,
      until: endOf(until),
    })),
    exceptionsUntil: (spec.exceptions ?? []).map(({ until }) => endOf(until)),
    guarded: spec.guard.mode === 'Enforce',
  };
}

function endOf(until: string | undefined): number {
  return until === undefined ? Number.POSITIVE_INFINITY : timeOf(until);
}

function timeOf(text: string): number {
  const at = parseTime(text);
  if (at === undefined) throw new RangeError(`${text} is not a time`);
  return at;
}

/** A policy without a selector in the operator's namespace is for the mesh; one with a selector there is like any other. */
export function scopeOf({ namespace, selector }: Pick<Policy, 'namespace' | 'selector'>, meshNamespace: string): Scope {
  if (selector !== undefined) return 'Workload';
  return namespace === meshNamespace ? 'Mesh' : 'Namespace';
}

/** The oldest first: at one scope it decides alone. Made in the same second, the smaller name does. */
export function byAge(one: Policy, other: Policy): number {
  if (one.created !== other.created) return one.created - other.created;
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}

export function selects({ selector }: Pick<Policy, 'selector'>, labels: Labels): boolean {
  return selector === undefined || selector.every(([key, value]) => labels[key] === value);
}

/** As a person would name it: `ports[2] (9090)`. */
export function nameOfRule({ index, port, portName }: PortRule): string {
  return `ports[${index}] (${portName ?? port})`;
}
