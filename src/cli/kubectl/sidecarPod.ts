/** What the command line wants to know of a pod: its sidecar above all. Pure. */

import { containerNames } from '../../inject/index.ts';
import { decodePod, type WorkloadName } from '../../inventory/index.ts';
import { isRecord, numberAt, property, stringAt, stringMap } from '../../kube/index.ts';

export type SidecarState = 'Ready' | 'NotReady' | 'Starting' | 'Waiting' | 'Pending' | 'Terminated';

export interface SidecarStatus {
  readonly image: string;
  /** Starting: it runs, and has no listeners yet. Pending: kubelet has said nothing of it. */
  readonly state: SidecarState;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restarts: number;
  /** Why it waits or has ended, as kubelet or the scheduler says it; undefined: nobody says. */
  readonly reason: string | undefined;
}

/** A pod that has not ended. */
export interface CheckedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** ms */
  readonly created: number;
  readonly deleting: boolean;
  readonly account: string;
  readonly workload: WorkloadName;
  readonly hostNetwork: boolean;
  readonly addresses: readonly string[];
  readonly sidecar: SidecarStatus | undefined;
}

/** @returns undefined for what is no pod by its outline, and for one that has ended. */
export function readPod(object: unknown): CheckedPod | undefined {
  const metadata = property(object, 'metadata');
  const spec = property(object, 'spec');
  const namespace = stringAt(metadata, 'namespace');
  const name = stringAt(metadata, 'name');
  if (!isRecord(object) || !isRecord(spec) || !namespace || !name || !stringAt(metadata, 'resourceVersion'))
    return undefined;
  // The same reader as the operator's. It has no place in the mesh for a pod with the network of its host.
  const { mesh } = decodePod({ ...object, spec: { ...spec, hostNetwork: false } }).value;
  if (mesh === undefined) return undefined;
  return {
    namespace,
    name,
    uid: mesh.uid,
    created: Date.parse(stringAt(metadata, 'creationTimestamp') ?? ''),
    deleting: property(metadata, 'deletionTimestamp') !== undefined,
    account: mesh.account,
    workload: mesh.workload,
    hostNetwork: spec['hostNetwork'] === true,
    addresses: mesh.addresses,
    sidecar: mesh.sidecar === undefined ? undefined : sidecarOf(spec, property(object, 'status')),
  };
}

function sidecarOf(spec: unknown, status: unknown): SidecarStatus {
  const ours = (list: unknown): unknown =>
    Array.isArray(list) ? list.find((one: unknown) => stringAt(one, 'name') === containerNames.proxy) : undefined;
  const image = stringAt(ours(property(spec, 'initContainers')), 'image') ?? '';
  const said = ours(property(status, 'initContainerStatuses'));
  const state = property(said, 'state');
  const ready = property(said, 'ready') === true;
  const started = property(said, 'started') === true;
  const about = { image, ready, started, restarts: numberAt(said, 'restartCount') ?? 0, reason: undefined };
  if (property(state, 'running') !== undefined)
    return { ...about, state: ready && started ? 'Ready' : started ? 'NotReady' : 'Starting' };
  const ended = property(state, 'terminated');
  if (ended !== undefined) return { ...about, state: 'Terminated', reason: stringAt(ended, 'reason') };
  const reason = stringAt(property(state, 'waiting'), 'reason');
  if (reason !== undefined) return { ...about, state: 'Waiting', reason };
  return { ...about, state: 'Pending', reason: unscheduled(status) };
}

function unscheduled(status: unknown): string | undefined {
  const conditions = property(status, 'conditions');
  if (!Array.isArray(conditions)) return undefined;
  const found: unknown = conditions.find((one: unknown) => stringAt(one, 'type') === 'PodScheduled');
  return stringAt(found, 'status') === 'False' ? stringAt(found, 'reason') : undefined;
}

/** As in `Deployment/web`. */
export function workloadText({ kind, name }: WorkloadName): string {
  return `${kind}/${name}`;
}

export function podLabels(object: unknown): Readonly<Record<string, string>> {
  return stringMap(property(property(object, 'metadata'), 'labels'));
}

/** The tag of an image, or the beginning of its digest; the whole where it has neither. */
export function versionOf(image: string): string {
  const [named = '', digest] = image.split('@');
  const tag = /:([^/:]+)$/.exec(named)?.[1];
  if (tag !== undefined) return tag;
  return digest === undefined ? image : digest.slice(0, 'sha256:'.length + 12);
}
