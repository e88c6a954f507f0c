/**
 * Whether a pod gets a sidecar, and the pod with it: pure. Injecting twice is injecting once, whatever others do in between (reinvocation): it always begins with the pod as it was without our
 * parts, and leaves what others have made of these meanwhile.
 */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { annotations, injectionValues, labels } from '../api/index.ts';
import { isReservedPort } from '../envoy/index.ts';
import { AnnotationError } from './annotationError.ts';
import { readWishes, type Wishes } from './annotations.ts';
import { type Asked, asked, isUnclear, type PodNamespace } from './asked.ts';
import { containerNames, initContainer, proxyContainer, proxyVolumes, volumeNames } from './containers.ts';
import { type Container, type Pod, tcpPorts } from './pod.ts';
import { type Originals, restoreProbes, rewriteProbes } from './probes.ts';
import { PROXY_USER } from './redirection.ts';
import type { InjectionSettings } from './settings.ts';

/** Ports of Services that lead to the pod and whose `appProtocol` is of a server that speaks first: container ports, by number or name. */
export type ServerFirstByService = readonly (number | string)[];

export type Injection =
  /** `warning`: somebody who asked for the mesh may be surprised. */
  | { readonly action: 'LeaveAlone'; readonly reason: LeaveReason; readonly warning?: string }
  | { readonly action: 'Refuse'; readonly message: string }
  | { readonly action: 'Inject'; readonly patch: readonly PatchOperation[] };

export type LeaveReason = Extract<Asked, { asked: false }>['reason'] | keyof typeof withoutRoom;

/** RFC 6902; `add` replaces a member that is there. */
export interface PatchOperation {
  readonly op: 'add';
  readonly path: string;
  readonly value: unknown;
}

/** What stands in the annotation `injected`: what was set up when the pod was made, and stays so while it runs, whatever becomes of annotations by which people asked for it. */
const recordSchema = z.object({
  serverFirst: z.array(z.int().min(1).max(65_535)),
  inboundExcluded: z.array(z.int().min(1).max(65_535)).default([]),
  /** Digest of our containers as they were written. */
  parts: z.string().optional(),
  probes: z.record(z.string(), z.looseObject({})),
});

export type InjectionRecord = Readonly<z.output<typeof recordSchema>>;

export function inject(
  pod: Pod,
  namespace: PodNamespace,
  settings: InjectionSettings,
  byService: ServerFirstByService = [],
): Injection {
  const left = leftAlone(pod, namespace, settings);
  if (left !== undefined) return left;
  const original = withoutOurParts(pod);
  const problem = obstacle(original, namespace);
  if (problem !== undefined) return { action: 'Refuse', message: problem };
  try {
    const wishes = readWishes(original.metadata.annotations ?? {}, settings.resources);
    return { action: 'Inject', patch: patchBetween(pod, withOurParts(original, wishes, settings, byService, pod)) };
  } catch (error) {
    if (error instanceof AnnotationError) return { action: 'Refuse', message: error.message };
    throw error;
  }
}

function leftAlone(pod: Pod, namespace: PodNamespace, settings: InjectionSettings): Injection | undefined {
  const found = asked(pod.metadata.labels ?? {}, namespace, settings);
  if (!found.asked) return { action: 'LeaveAlone', reason: found.reason };
  const reason = withoutRoomFor(pod);
  return (
    reason && { action: 'LeaveAlone', reason, warning: `the pod stays without a sidecar: it is ${withoutRoom[reason]}` }
  );
}

/** Why a pod cannot have a sidecar, whoever asks for it. */
export const withoutRoom = {
  HostNetwork: 'on the network of the host, where no sidecar can stand between',
  Windows: 'for Windows, and sidecars are for Linux',
  // Its containers run already, as a file on the node says; with a Secret the API server would refuse to show it.
  StaticPod: 'static, run by a node from a file of its own, to which nothing can be added',
} as const;

function withoutRoomFor({ metadata, spec }: Pod): keyof typeof withoutRoom | undefined {
  if (spec.hostNetwork === true) return 'HostNetwork';
  if (spec.os?.name === 'windows') return 'Windows';
  return metadata.annotations?.['kubernetes.io/config.mirror'] === undefined ? undefined : 'StaticPod';
}

/** What would let the pod start without protection, or not at all. */
function obstacle(pod: Pod, { name, labels: found }: PodNamespace): string | undefined {
  const { [labels.injection]: own } = pod.metadata.labels ?? {};
  if (isUnclear(own)) {
    const { disabled, enabled } = injectionValues;
    return `label ${labels.injection} is ${JSON.stringify(own)}: write ${enabled} or ${disabled}`;
  }
  const level = found['pod-security.kubernetes.io/enforce'];
  if (level === 'baseline' || level === 'restricted')
    return (
      `namespace ${name} enforces Pod Security ${level}, which refuses NET_ADMIN, and the init container ${containerNames.init} needs that to redirect traffic: set the label ` +
      `pod-security.kubernetes.io/enforce=privileged, or leave the pod out of the mesh with the label ${labels.injection}=${injectionValues.disabled}`
    );
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const taken = containers.find(isOurs);
  if (taken !== undefined) return `a container is called ${taken.name}, as one of the sidecar's: give it another name`;
  const volume = (pod.spec.volumes ?? []).find(isOurVolume);
  if (volume !== undefined) return `a volume is called ${volume.name}, as one of the sidecar's: give it another name`;
  const same = containers.find(
    ({ securityContext }) => (securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser) === PROXY_USER,
  );
  if (same !== undefined)
    return `container ${same.name} runs as user ${PROXY_USER}, whose traffic is that of the proxy and passes it by: let it run as another user`;
  const reserved = tcpPorts(pod).find(({ number }) => isReservedPort(number));
  if (reserved !== undefined)
    return `container ${reserved.container} declares port ${reserved.number}, which is the proxy's own: let it listen on another`;
  return undefined;
}

/** @param found the pod as it came: perhaps with our parts, which others may have gone over since. */
function withOurParts(
  pod: Pod,
  wishes: Wishes,
  settings: InjectionSettings,
  byService: ServerFirstByService,
  found: Pod,
): Pod {
  const { metadata, spec } = pod;
  const originals: Record<string, Originals[string]> = {};
  const rewrite = (container: Container): Container => {
    const rewritten = rewriteProbes(container);
    Object.assign(originals, rewritten.originals);
    return rewritten.container;
  };
  const containers = spec.containers.map(rewrite);
  const initContainers = (spec.initContainers ?? []).map(rewrite);
  const serverFirst = resolvePorts(pod, wishes.serverFirst, byService);
  const ours = [initContainer(settings, wishes), proxyContainer(settings, wishes, spec.dnsPolicy)];
  const parts = digestOf(ours);
  const record = JSON.stringify({
    serverFirst,
    inboundExcluded: wishes.inboundPortsExcluded,
    probes: originals,
    parts,
  });
  const kept = recordOf(found)?.parts === parts ? ours.map((one) => asOthersLeftIt(one, found)) : ours;
  return {
    ...pod,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [annotations.injected]: record } },
    spec: {
      ...spec,
      containers,
      initContainers: [...kept, ...initContainers],
      volumes: [...(spec.volumes ?? []), ...proxyVolumes(spec.serviceAccountName ?? 'default')],
    },
  };
}

/**
 * A container of ours as it came back: a LimitRange has given it limits, AlwaysPullImages a policy, a webhook another registry, each of which would be asked for in vain later on. But for what
 * the API server mounts into every container: a sidecar has no use for the token of a service account.
 */
function asOthersLeftIt(ours: Container, { spec }: Pod): Container {
  const found = spec.initContainers?.find(({ name }) => name === ours.name);
  if (found === undefined) return ours;
  const { volumeMounts: _, ...rest } = found;
  const { volumeMounts } = ours;
  return { ...rest, ...(volumeMounts === undefined ? {} : { volumeMounts }) };
}

function digestOf(containers: readonly Container[]): string {
  return hash('sha256', JSON.stringify(containers)).slice(0, 16);
}

/** @throws AnnotationError where the pod has no port of that name. */
function resolvePorts(pod: Pod, wished: readonly (number | string)[], byService: ServerFirstByService): number[] {
  const ports = tcpPorts(pod);
  const resolve = (port: number | string): number | undefined =>
    typeof port === 'number' ? port : ports.find(({ name }) => name === port)?.number;
  const found = wished.map((port) => {
    const number = resolve(port);
    if (number !== undefined) return number;
    throw new AnnotationError(
      `annotation ${annotations.serverFirstPorts} has ${JSON.stringify(port)}: no container declares a port of that name`,
    );
  });
  // A Service may lead to pods of several sorts.
  const told = byService.flatMap((port) => resolve(port) ?? []);
  return [...new Set([...found, ...told])].filter((port) => !isReservedPort(port)).sort((one, other) => one - other);
}

function isOurs({ name }: Container): boolean {
  return Object.values<string>(containerNames).includes(name);
}

function isOurVolume({ name }: { readonly name: string }): boolean {
  return Object.values<string>(volumeNames).includes(name);
}

/** The pod as its author wrote it. */
function withoutOurParts(pod: Pod): Pod {
  const record = recordOf(pod);
  if (record === undefined) return pod;
  const { [annotations.injected]: _, ...rest } = pod.metadata.annotations ?? {};
  const restore = (container: Container): Container => restoreProbes(container, record.probes);
  const { initContainers = [], volumes = [] } = pod.spec;
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations: rest },
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.filter((one) => !isOurs(one)).map(restore),
      initContainers: initContainers.filter((one) => !isOurs(one)).map(restore),
      volumes: volumes.filter((one) => !isOurVolume(one)),
    },
  };
}

/** What injection wrote on the pod; undefined: it was not injected, or somebody has written something else. */
export function recordOf(pod: Pod): InjectionRecord | undefined {
  const text = pod.metadata.annotations?.[annotations.injected];
  if (text === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** By member, where it differs. */
function patchBetween(before: Pod, after: Pod): PatchOperation[] {
  const parts: readonly (readonly [string, unknown, unknown])[] = [
    ['/metadata/annotations', before.metadata.annotations, after.metadata.annotations],
    ['/spec/initContainers', before.spec.initContainers, after.spec.initContainers],
    ['/spec/containers', before.spec.containers, after.spec.containers],
    ['/spec/volumes', before.spec.volumes, after.spec.volumes],
  ];
  return parts.flatMap(([path, was, value]) => (isDeepStrictEqual(was, value) ? [] : [{ op: 'add', path, value }]));
}
