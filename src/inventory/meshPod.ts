/**
 * What the mesh needs to know of a pod: who it is, where, what made it, and its sidecar. A pod is in the mesh by the sidecar in its spec, not by a label: labels can be changed while it
 * runs. Tens of thousands have to fit.
 */
import type { ProbeRoute } from '../envoy/index.ts';
import { containerNames, type Pod, parsePod, probeRoutes, recordOf } from '../inject/index.ts';
import { isRecord, stringAt } from '../kube/index.ts';
import { intern } from './intern.ts';

/** What made a pod, as `MTLSRollout` names it; the pod itself where nothing did. */
export interface WorkloadName {
  readonly kind: string;
  readonly name: string;
}

export interface Sidecar {
  /** Container ports whose servers speak first, as declared when the pod was made. */
  readonly serverFirst: readonly number[];
  /** Container ports before which the proxy does not stand. */
  readonly inboundExcluded: readonly number[];
  /** What the proxy answers kubelet: ProbeRoute[] as JSON, read when it is rendered. */
  readonly probes: string;
  /** Its container runs: it may have been configured. */
  readonly running: boolean;
}

/** A pod with a network of its own that has not ended. */
export interface MeshPod {
  readonly uid: string;
  /** When it was made (ms). */
  readonly createdAt: number;
  readonly account: string;
  readonly workload: WorkloadName;
  /** '' until it is scheduled. */
  readonly node: string;
  /** None until it has a network. */
  readonly addresses: readonly string[];
  readonly ready: boolean;
  /** One of its own containers has been started: it may have been ready, and somebody may have spoken to it. */
  readonly started: boolean;
  readonly sidecar: Sidecar | undefined;
}

const NO_ADDRESSES: readonly string[] = [];
const NO_PORTS: readonly number[] = [];

/** @param object a pod that has not ended. @returns undefined where it has the network of its host. */
export function meshPodOf(object: Readonly<Record<string, unknown>>): MeshPod | undefined {
  const { metadata, spec, status } = object;
  if (!isRecord(spec) || !isRecord(metadata) || spec['hostNetwork'] === true) return undefined;
  return {
    uid: stringAt(metadata, 'uid') ?? '',
    createdAt: Date.parse(stringAt(metadata, 'creationTimestamp') ?? '') || 0,
    account: intern(stringAt(spec, 'serviceAccountName') || 'default'),
    workload: workloadOf(metadata),
    node: intern(stringAt(spec, 'nodeName') ?? ''),
    addresses: addressesOf(status),
    ready: isReady(status),
    started: hasStarted(status),
    sidecar: sidecarOf(object, spec, status),
  };
}

/** The routes of a sidecar. */
export function probesOf({ probes }: Sidecar): readonly ProbeRoute[] {
  return JSON.parse(probes) as readonly ProbeRoute[];
}

function list(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** A ReplicaSet of a Deployment is called after it and the digest of its template, which its pods have as a label. */
function workloadOf(metadata: Readonly<Record<string, unknown>>): WorkloadName {
  const owner = list(metadata['ownerReferences']).find(({ controller }) => controller === true);
  const kind = stringAt(owner, 'kind');
  const name = stringAt(owner, 'name');
  if (kind === undefined || name === undefined) return { kind: 'Pod', name: intern(stringAt(metadata, 'name') ?? '') };
  const digest = stringAt(metadata['labels'], 'pod-template-hash');
  if (kind === 'ReplicaSet' && digest !== undefined && name.endsWith(`-${digest}`))
    return { kind: 'Deployment', name: intern(name.slice(0, -digest.length - 1)) };
  return { kind: intern(kind), name: intern(name) };
}

function addressesOf(status: unknown): readonly string[] {
  const { podIPs } = isRecord(status) ? status : {};
  const found = list(podIPs).flatMap(({ ip }) => (typeof ip === 'string' && ip !== '' ? [ip] : []));
  if (found.length > 0) return found;
  const single = stringAt(status, 'podIP');
  return single === undefined || single === '' ? NO_ADDRESSES : [single];
}

function isReady(status: unknown): boolean {
  const { conditions } = isRecord(status) ? status : {};
  return list(conditions).some(({ type, status: value }) => type === 'Ready' && value === 'True');
}

/** Its containers wait until its sidecars are ready. What waits for its next start has been started before. */
function hasStarted(status: unknown): boolean {
  const { containerStatuses } = isRecord(status) ? status : {};
  return list(containerStatuses).some(({ state, lastState, restartCount }) => {
    const { running, terminated } = isRecord(state) ? state : {};
    const before = isRecord(lastState) && isRecord(lastState['terminated']);
    return (
      isRecord(running) || isRecord(terminated) || before || (typeof restartCount === 'number' && restartCount > 0)
    );
  });
}

function sidecarOf(object: unknown, spec: Readonly<Record<string, unknown>>, status: unknown): Sidecar | undefined {
  if (!list(spec['initContainers']).some(({ name }) => name === containerNames.proxy)) return undefined;
  const { initContainerStatuses } = isRecord(status) ? status : {};
  const own = list(initContainerStatuses).find(({ name }) => name === containerNames.proxy);
  const { state } = own ?? {};
  return { ...declaredOf(object), running: isRecord(state) && isRecord(state['running']) };
}

/** What was written when the pod was made. Should somebody have changed it since, then nothing is known but that there is a sidecar. */
function declaredOf(object: unknown): Omit<Sidecar, 'running'> {
  const nothing = { serverFirst: NO_PORTS, inboundExcluded: NO_PORTS, probes: '[]' };
  try {
    const pod: Pod = parsePod(object);
    const record = recordOf(pod);
    if (record === undefined) return nothing;
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    return {
      serverFirst: record.serverFirst.length === 0 ? NO_PORTS : record.serverFirst,
      inboundExcluded: record.inboundExcluded.length === 0 ? NO_PORTS : record.inboundExcluded,
      probes: intern(JSON.stringify(probeRoutes(containers, record.probes))),
    };
  } catch {
    // It cannot be read: a pod is never lost for what somebody wrote on it.
    return nothing;
  }
}
