/** The modes of a namespace's workloads as its MTLSRollout records them: what proxies are rendered from, and nothing else, so that all replicas agree. */
import { InvalidObjectError, type Mode, type MTLSRolloutSpec, parseMTLSRollout, ROLLOUT_NAME } from '../api/index.ts';
import type { WorkloadName } from '../inventory/index.ts';
import { asRecord, asString } from '../kube/index.ts';
import { beginning, type ClientMode } from '../rollout/index.ts';

/** How servers accept connections to a port, and with what clients open them. */
export interface PortModes {
  readonly servers: Mode;
  readonly clients: ClientMode;
}

export interface WorkloadModes {
  /** Of every port without an entry of its own. */
  readonly others: PortModes;
  readonly ports: ReadonlyMap<number, PortModes>;
}

export interface RecordedModes {
  readonly resourceVersion: string;
  readonly namespace: string;
  /** By `kind/name`. */
  readonly workloads: ReadonlyMap<string, WorkloadModes>;
  /** Why it cannot be read: then it says nothing. */
  readonly problem: string | undefined;
}

/** Nobody has said anything of it, as where the record was deleted by hand before this replica began: whoever dials is served, and mesh peers speak mutual TLS. */
const unrecorded: WorkloadModes = { others: beginning, ports: new Map() };

/** @returns undefined for an object that is no record: there is one of that name in a namespace. @throws Error where the object is not an MTLSRollout by its outline. */
export function decodeRollout(object: unknown): { key: string; value: RecordedModes } | undefined {
  const metadata = asRecord(asRecord(object)['metadata']);
  if (metadata['name'] !== ROLLOUT_NAME) return undefined;
  const namespace = asString(metadata['namespace']);
  const about = { resourceVersion: asString(metadata['resourceVersion']), namespace };
  const key = `${namespace}/${asString(metadata['name'])}`;
  try {
    const { spec } = parseMTLSRollout(object);
    return { key, value: { ...about, workloads: workloadsOf(spec), problem: undefined } };
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    return { key, value: { ...about, workloads: new Map(), problem: error.message } };
  }
}

function workloadsOf({ workloads = [] }: MTLSRolloutSpec): Map<string, WorkloadModes> {
  return new Map(
    workloads.map(({ kind, name, servers, clients, ports = [] }) => [
      `${kind}/${name}`,
      {
        others: { servers, clients },
        ports: new Map(ports.map((entry) => [entry.port, { servers: entry.servers, clients: entry.clients }])),
      },
    ]),
  );
}

/** @param modes undefined: the namespace has no record yet. */
export function modesOfWorkload(modes: RecordedModes | undefined, { kind, name }: WorkloadName): WorkloadModes {
  return modes?.workloads.get(`${kind}/${name}`) ?? unrecorded;
}

/** Whether anything is said of a workload. */
export function isRecorded(modes: RecordedModes | undefined, { kind, name }: WorkloadName): boolean {
  return modes?.workloads.has(`${kind}/${name}`) === true;
}

export function modesOfPort({ others, ports }: WorkloadModes, port: number): PortModes {
  return ports.get(port) ?? others;
}
