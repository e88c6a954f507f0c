/**
 * The record of a namespace as it has to be next: pure, from the record as it stands, what policies ask for, and what proxies have acknowledged. Each workload and each
 * of its ports goes its own way, at its own speed.
 */
import { MOST_WORKLOAD_PORTS, MOST_WORKLOADS, type Mode, type MTLSRolloutSpec } from '../api/index.ts';
import { type Acknowledged, beginning, clientModeIn, type Progress, step } from './step.ts';
import { together, type Wanted } from './together.ts';

type WorkloadEntry = NonNullable<MTLSRolloutSpec['workloads']>[number];
type PortEntry = NonNullable<WorkloadEntry['ports']>[number];
type WorkloadName = Pick<WorkloadEntry, 'kind' | 'name'>;
type Switch = Pick<PortEntry, 'target' | 'servers' | 'clients' | 'phase' | 'since' | 'policy'>;

/** A workload with running pods in the mesh. */
export interface WantedWorkload {
  /** Deployment, StatefulSet and so on; Pod where nothing made it. */
  readonly kind: string;
  readonly name: string;
  /** None of its pods was ever ready: nobody can have a connection to it, or be about to open one. */
  readonly fresh: boolean;
  /** For ports without an entry of their own. */
  readonly others: Wanted;
  readonly ports: ReadonlyMap<number, Wanted>;
}

/** @param port undefined: those without an entry of their own. */
export type AcknowledgedOf = (kind: string, name: string, port: number | undefined) => Acknowledged;

/**
 * Entries are sorted, so that the same world has one record only. A workload without pods has none: whoever comes back later is fresh.
 * @param now RFC 3339, for whatever changes its phase or what it tells proxies.
 */
export function planRollout(
  present: MTLSRolloutSpec,
  wanted: readonly WantedWorkload[],
  acknowledged: AcknowledgedOf,
  now: string,
): MTLSRolloutSpec {
  const known = new Map((present.workloads ?? []).map((entry) => [`${entry.kind}/${entry.name}`, entry]));
  const workloads = admitted(wanted, known).map((workload): WorkloadEntry => {
    const { kind, name, fresh } = workload;
    const before = known.get(`${kind}/${name}`);
    const portsBefore = new Map((before?.ports ?? []).map((entry) => [entry.port, entry]));
    const { others, ports } = fitting(workload, portsBefore);
    const next = (was: Switch | undefined, ask: Wanted, port: number | undefined): Switch =>
      nextSwitch(was, ask, fresh, () => acknowledged(kind, name, port), now);
    // A port that gets an entry of its own was one of the others until now; one that loses it has to become like them first.
    const numbers = [...new Set([...ports.keys(), ...portsBefore.keys()])].sort((one, other) => one - other);
    const all = next(before, others, undefined);
    const entries = numbers.flatMap((port): PortEntry[] => {
      const ask = ports.get(port);
      const was = portsBefore.get(port) ?? before;
      const entry = { port, ...next(was, ask ?? others, port) };
      return ask === undefined && tellsTheSame(entry, all) ? [] : [entry];
    });
    return { kind, name, ...all, ...(entries.length === 0 ? {} : { ports: entries }) };
  });
  workloads.sort(byKindAndName);
  return workloads.length === 0 ? {} : { workloads };
}

/** A record that is larger than its schema would be refused whole: whoever has an entry keeps it, and who is too much waits without one. */
function admitted(
  wanted: readonly WantedWorkload[],
  known: ReadonlyMap<string, WorkloadEntry>,
): readonly WantedWorkload[] {
  if (wanted.length <= MOST_WORKLOADS) return wanted;
  const sorted = wanted.toSorted(byKindAndName);
  const has = ({ kind, name }: WantedWorkload) => known.has(`${kind}/${name}`);
  return [...sorted.filter(has), ...sorted.filter((one) => !has(one))].slice(0, MOST_WORKLOADS);
}

/** With more ports than a record holds a workload is one unit, in a mode that serves whomever one of its ports is to serve. */
function fitting(
  { others, ports }: WantedWorkload,
  before: ReadonlyMap<number, PortEntry>,
): Pick<WantedWorkload, 'others' | 'ports'> {
  const count = ports.size + [...before.keys()].filter((port) => !ports.has(port)).length;
  if (count <= MOST_WORKLOAD_PORTS) return { others, ports };
  return { others: together([others, ...ports.values()]), ports: new Map() };
}

function nextSwitch(
  was: Switch | undefined,
  { mode, policy }: Wanted,
  fresh: boolean,
  acknowledged: () => Acknowledged,
  now: string,
): Switch {
  const named = policy === undefined ? {} : { policy };
  if (was === undefined) return { ...begin(mode, fresh), since: now, ...named };
  const { target, servers, clients, phase } = was;
  const next = step({ target, servers, clients, phase }, mode, acknowledged());
  const same = next.phase === phase && next.servers === servers && next.clients === clients;
  return { ...next, since: same ? was.since : now, ...named };
}

function begin(target: Mode, fresh: boolean): Progress {
  if (!fresh) return { target, ...beginning };
  // Whoever was never told about a port opens it with mutual TLS, which every mode but Strict takes beside plaintext.
  return { target, servers: target, clients: clientModeIn(target), phase: 'Servers' };
}

/** Proxies and people see no difference between the two. */
function tellsTheSame(one: Switch, other: Switch): boolean {
  return (
    one.servers === other.servers &&
    one.clients === other.clients &&
    one.phase === 'Settled' &&
    other.phase === 'Settled'
  );
}

/** The order of a record. */
export function byKindAndName(one: WorkloadName, other: WorkloadName): number {
  const [a, b] = [`${one.kind}/${one.name}`, `${other.kind}/${other.name}`];
  return a < b ? -1 : a > b ? 1 : 0;
}
