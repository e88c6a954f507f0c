/** What is seen of a namespace: the proxies that are expected, against what they have acknowledged. */
import type { MTLSRolloutSpec } from '../api/index.ts';
import type { MeshPod } from '../inventory/index.ts';
import type { Answers } from '../policy/index.ts';
import { type Acknowledgements, acknowledgedIn, hasReached, type Reached, reachedBy } from './acknowledgements.ts';
import type { Draining } from './draining.ts';
import { type Memory, switchKey } from './memory.ts';
import type { AcknowledgedOf } from './plan.ts';
import { namespaceOf, type Proxies } from './proxies.ts';
import type { RolloutRecord } from './record.ts';
import { type Tally, tally } from './tally.ts';

export interface Sources {
  readonly acknowledgements: Acknowledgements;
  readonly draining: Draining;
  readonly proxies: Proxies;
}

export interface Waiting {
  /** Pods (namespace/name) whose proxies have not acknowledged what is waited for. */
  readonly silent: readonly string[];
  /** A replica of proxy-api does not know it yet. */
  readonly replicas: boolean;
}

/** What proxies have acknowledged of a record. @param at monotonic (ms). */
export function acknowledgedBy(
  namespace: string,
  memory: Memory | undefined,
  record: RolloutRecord | undefined,
  at: number,
  { acknowledgements, draining, proxies }: Sources,
): AcknowledgedOf {
  const present = record?.resourceVersion ?? '';
  const versionOf = (proxy: string) => acknowledgements.versionOf(namespace, proxy);
  const reached = (of: Iterable<MeshPod>): Reached => reachedBy(proxiesOf(of), versionOf, present);
  let clients: Reached | undefined;
  let pods: ReadonlyMap<string, readonly MeshPod[]> | undefined;
  const podsOf = (workload: string): readonly MeshPod[] => {
    pods ??= serversIn(namespace, proxies);
    return pods.get(workload) ?? [];
  };
  const servers = new Map<string, Reached>();
  return acknowledgedIn({
    memory,
    clients: () => {
      clients ??= reached([...proxies.all()].map(([, mesh]) => mesh));
      return clients;
    },
    servers: (workload) => {
      const found = servers.get(workload) ?? reached(podsOf(workload));
      servers.set(workload, found);
      return found;
    },
    newcomers: newcomersIn(namespace, present, acknowledgements),
    drained: (key, since) => draining.isOver(namespace, key, since, at),
  });
}

/** The pods with a sidecar of each workload of a namespace. */
function serversIn(namespace: string, proxies: Proxies): ReadonlyMap<string, readonly MeshPod[]> {
  const found = new Map<string, MeshPod[]>();
  for (const { mesh } of proxies.in(namespace).values()) {
    if (mesh?.sidecar === undefined) continue;
    const key = switchKey(mesh.workload.kind, mesh.workload.name);
    const pods = found.get(key);
    if (pods === undefined) found.set(key, [mesh]);
    else pods.push(mesh);
  }
  return found;
}

/** How far the sidecars of policies are, and what is waited for. @param answersOf of the pods that `spec` was planned from, by their keys. */
export function count(
  namespace: string,
  record: RolloutRecord,
  spec: MTLSRolloutSpec,
  memory: Memory | undefined,
  answersOf: ReadonlyMap<string, Answers>,
  { acknowledgements, proxies }: Sources,
): { readonly tally: Tally; readonly waiting: Waiting } {
  const versionOf = (proxy: string) => acknowledgements.versionOf(namespace, proxy);
  const refusals = new Map(acknowledgements.refused.map(({ error, proxy }) => [proxy, error]));
  const told = newestOf(memory);
  const isThere = (mesh: MeshPod, version: string | undefined) =>
    version !== undefined && hasReached(reachedBy(proxiesOf([mesh]), versionOf, record.resourceVersion), version);
  const tallied = [...proxies.in(namespace)].flatMap(([key, { mesh }]) => {
    const answers = answersOf.get(key);
    if (mesh?.sidecar === undefined || answers === undefined) return [];
    const version = told.get(switchKey(mesh.workload.kind, mesh.workload.name));
    return [{ key, mesh, answers, acknowledged: isThere(mesh, version), refusal: refusals.get(mesh.uid) }];
  });
  const { clients, servers } = awaited(spec, memory);
  const silent: string[] = [];
  for (const [key, mesh] of proxies.all()) {
    const own =
      namespaceOf(key) === namespace ? servers.get(switchKey(mesh.workload.kind, mesh.workload.name)) : undefined;
    const version = newer(clients, own);
    if (version !== undefined && !isThere(mesh, version)) silent.push(key);
  }
  const newest = [clients, ...servers.values()].reduce(newer, undefined);
  const newcomers = newcomersIn(namespace, record.resourceVersion, acknowledgements);
  const replicas = newest !== undefined && !hasReached(newcomers, newest);
  return { tally: tally(tallied, spec), waiting: { silent: silent.sort(), replicas } };
}

/** The versions that have to be acknowledged for a step that is waited for: by all clients of the mesh, and by the servers of each workload. */
function awaited(
  spec: MTLSRolloutSpec,
  memory: Memory | undefined,
): { readonly clients: string | undefined; readonly servers: ReadonlyMap<string, string> } {
  let clients: string | undefined;
  const servers = new Map<string, string>();
  for (const { kind, name, phase, ports = [] } of spec.workloads ?? []) {
    const workload = switchKey(kind, name);
    for (const one of [{ phase, port: undefined }, ...ports]) {
      const since = memory?.since.get(switchKey(kind, name, one.port));
      if (since === undefined || one.phase === 'Settled') continue;
      if (one.phase === 'Clients') clients = newer(clients, since.clients);
      else servers.set(workload, newer(servers.get(workload), since.servers) ?? since.servers);
    }
  }
  return { clients, servers };
}

/** Where those begin that have yet to come. */
function newcomersIn(namespace: string, present: string, acknowledgements: Acknowledgements): Reached {
  return reachedBy([{ uid: '', running: true }], () => acknowledgements.renderedFrom(namespace), present);
}

/** The newest version that tells proxies of a workload something, by workload. */
function newestOf(memory: Memory | undefined): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { kind, name, ports = [] } of memory?.spec.workloads ?? []) {
    const keys = [switchKey(kind, name), ...ports.map(({ port }) => switchKey(kind, name, port))];
    const versions = keys.flatMap((key) => Object.values(memory?.since.get(key) ?? {}));
    const newest = versions.reduce<string | undefined>(newer, undefined);
    if (newest !== undefined) found.set(switchKey(kind, name), newest);
  }
  return found;
}

function newer(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return hasReached(one, other) ? one : other;
}

function* proxiesOf(pods: Iterable<MeshPod>) {
  for (const { sidecar, uid } of pods) yield { uid, running: sidecar?.running === true };
}

/** The phase of every switch of a record. */
export function* phasesOf(spec: MTLSRolloutSpec): Generator<readonly [key: string, phase: string]> {
  for (const { kind, name, phase, ports = [] } of spec.workloads ?? []) {
    yield [switchKey(kind, name), phase];
    for (const port of ports) yield [switchKey(kind, name, port.port), port.phase];
  }
}
