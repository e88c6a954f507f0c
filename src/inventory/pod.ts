/**
 * What is kept of a pod: which Secrets its running containers use, how, and since when; its labels and the ports that it declares. Tens of thousands have to
 * fit.
 */
import { containerNames } from '../inject/index.ts';
import { asRecord, asString, isRecord, stringAt, stringMap } from '../kube/index.ts';
import { intern } from './intern.ts';
import { type MeshPod, meshPodOf } from './meshPod.ts';

export interface SecretUse {
  readonly secret: string;
  /** When the first of the containers that use it was started (ms). */
  readonly startedAt: number;
  /** The same, of those that take it in a way that is never updated while they run; undefined: none. */
  readonly frozenAt: number | undefined;
}

/** A container port that a pod declares. TCP only. */
export interface DeclaredPort {
  readonly number: number;
  readonly name: string | undefined;
}

export interface PodRecord {
  readonly resourceVersion: string;
  readonly uses: readonly SecretUse[];
  /** What policies look at; undefined where the pod has ended: nobody speaks to it any more. */
  readonly shape: PodShape | undefined;
  /** Its place in the mesh; undefined where it has ended, or has the network of its host. */
  readonly mesh: MeshPod | undefined;
  /** UID of a pod that has the network of its host and has not ended; there of no other. */
  readonly hostNetworkUid?: string;
}

export interface PodShape {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly DeclaredPort[];
}

/** Most pods use no Secret. */
const NONE: readonly SecretUse[] = [];
const NO_PORTS: readonly DeclaredPort[] = [];

/** @throws Error where the object is not a pod by its outline. */
export function decodePod(object: unknown): { key: string; value: PodRecord } {
  const pod = asRecord(object);
  const { metadata: rawMetadata, spec, status } = pod;
  const metadata = asRecord(rawMetadata);
  const namespace = intern(asString(metadata['namespace']));
  const ended = hasEnded(status);
  const onHost = !ended && isRecord(spec) && spec['hostNetwork'] === true;
  const value: PodRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    uses: usesOf(spec, status),
    shape: ended ? undefined : { namespace, labels: stringMap(metadata['labels']), ports: portsOf(spec) },
    mesh: ended ? undefined : meshPodOf(pod),
    ...(onHost && { hostNetworkUid: stringAt(metadata, 'uid') ?? '' }),
  };
  return { key: `${namespace}/${asString(metadata['name'])}`, value };
}

/** Init containers may be sidecars, which run as long as the others. */
const containerLists = [
  ['containers', 'containerStatuses'],
  ['initContainers', 'initContainerStatuses'],
  ['ephemeralContainers', 'ephemeralContainerStatuses'],
] as const;

function hasEnded(status: unknown): boolean {
  const phase = stringAt(status, 'phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

function portsOf(spec: unknown): readonly DeclaredPort[] {
  if (!isRecord(spec)) return NO_PORTS;
  const found: DeclaredPort[] = [];
  for (const list of ['containers', 'initContainers'] as const) {
    for (const container of records(spec[list])) {
      // What the sidecar listens on is not redirected to it: no mode holds there.
      if (list === 'initContainers' && container['name'] === containerNames.proxy) continue;
      for (const port of records(container['ports'])) {
        const { containerPort: number } = port;
        if (typeof number === 'number' && (stringAt(port, 'protocol') ?? 'TCP') === 'TCP')
          found.push({ number, name: stringAt(port, 'name') });
      }
    }
  }
  return found.length === 0 ? NO_PORTS : found;
}

function usesOf(spec: unknown, status: unknown): readonly SecretUse[] {
  if (!isRecord(spec) || !isRecord(status)) return NONE;
  const secretsOfVolume = volumes(spec['volumes']);
  const found = new Map<string, SecretUse>();
  for (const [list, statuses] of containerLists) {
    const started = startTimes(status[statuses]);
    if (started.size === 0) continue;
    for (const container of records(spec[list])) {
      const startedAt = started.get(stringAt(container, 'name') ?? '');
      if (startedAt === undefined) continue;
      for (const mount of records(container['volumeMounts'])) {
        const frozen = ['subPath', 'subPathExpr'].some((field) => (stringAt(mount, field) ?? '') !== '');
        for (const secret of secretsOfVolume.get(stringAt(mount, 'name') ?? '') ?? []) {
          note(found, secret, startedAt, frozen);
        }
      }
      for (const secret of secretsOfEnvironment(container)) note(found, secret, startedAt, true);
    }
  }
  return found.size === 0 ? NONE : [...found.values()];
}

function note(found: Map<string, SecretUse>, secret: string, startedAt: number, frozen: boolean): void {
  const before = found.get(secret);
  const frozenAt = frozen ? Math.min(before?.frozenAt ?? startedAt, startedAt) : before?.frozenAt;
  found.set(secret, { secret, startedAt: Math.min(before?.startedAt ?? startedAt, startedAt), frozenAt });
}

/** Names of Secrets by the name of the volume. */
function volumes(list: unknown): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const volume of records(list)) {
    const { secret, projected } = volume;
    const sources = isRecord(projected) ? records(projected['sources']).map((source) => source['secret']) : [];
    const names = [stringAt(secret, 'secretName'), ...sources.map((source) => stringAt(source, 'name'))];
    const secrets = names.filter((name): name is string => name !== undefined);
    if (secrets.length > 0) found.set(stringAt(volume, 'name') ?? '', secrets);
  }
  return found;
}

function secretsOfEnvironment(container: Readonly<Record<string, unknown>>): string[] {
  const single = records(container['env']).map(({ valueFrom }) =>
    isRecord(valueFrom) ? valueFrom['secretKeyRef'] : undefined,
  );
  const whole = records(container['envFrom']).map(({ secretRef }) => secretRef);
  return [...single, ...whole].flatMap((reference) => stringAt(reference, 'name') ?? []);
}

/** When each container that runs was started (ms), by its name. */
function startTimes(statuses: unknown): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const status of records(statuses)) {
    const { state } = status;
    const startedAt = Date.parse(isRecord(state) ? (stringAt(state['running'], 'startedAt') ?? '') : '');
    if (!Number.isNaN(startedAt)) found.set(stringAt(status, 'name') ?? '', startedAt);
  }
  return found;
}

export function records(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.filter(isRecord) : [];
}
