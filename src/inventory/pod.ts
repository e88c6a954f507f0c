/** What is kept of a pod: which Secrets its running containers use, how, and since when. Tens of thousands have to fit. */
import { asRecord, asString, isRecord, stringAt } from '../kube/index.ts';

export interface SecretUse {
  readonly secret: string;
  /** When the first of the containers that use it was started (ms). */
  readonly startedAt: number;
  /** The same, of those that take it in a way that is never updated while they run; undefined: none. */
  readonly frozenAt: number | undefined;
}

export interface PodRecord {
  readonly resourceVersion: string;
  readonly uses: readonly SecretUse[];
}

/** Most pods use no Secret. */
const NONE: readonly SecretUse[] = [];

/** @throws Error where the object is not a pod by its outline. */
export function decodePod(object: unknown): { key: string; value: PodRecord } {
  const { metadata: rawMetadata, spec, status } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const key = `${asString(metadata['namespace'])}/${asString(metadata['name'])}`;
  return { key, value: { resourceVersion: asString(metadata['resourceVersion']), uses: usesOf(spec, status) } };
}

/** Init containers may be sidecars, which run as long as the others. */
const containerLists = [
  ['containers', 'containerStatuses'],
  ['initContainers', 'initContainerStatuses'],
  ['ephemeralContainers', 'ephemeralContainerStatuses'],
] as const;

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

function records(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.filter(isRecord) : [];
}
