/** What is kept of an MTLSRollout. */
import {
  InvalidObjectError,
  type MTLSRolloutSpec,
  type MTLSRolloutStatus,
  mtlsRolloutSpecSchema,
  mtlsRolloutStatusSchema,
  parseMTLSRollout,
  ROLLOUT_NAME,
} from '../api/index.ts';
import { asRecord, asString, isRecord } from '../kube/index.ts';

export type WorkloadEntry = NonNullable<MTLSRolloutSpec['workloads']>[number];
export type PortEntry = NonNullable<WorkloadEntry['ports']>[number];

export interface RolloutRecord {
  readonly resourceVersion: string;
  readonly namespace: string;
  readonly uid: string;
  /** Counts changes of spec alone. */
  readonly generation: number;
  readonly deleting: boolean;
  /** With `problem`: what of it can be read. */
  readonly spec: MTLSRolloutSpec;
  /** Why it cannot be read as a whole. */
  readonly problem: string | undefined;
  readonly status: MTLSRolloutStatus;
  /** What others wrote beside it, to be left as it is where the whole is written. */
  readonly kept: Readonly<Record<string, unknown>>;
}

const KEPT = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const;

/** @returns undefined for an object that is no record. @throws Error where it is not an MTLSRollout by its outline. */
export function decodeRollout(object: unknown): { key: string; value: RolloutRecord } | undefined {
  const { metadata: rawMetadata, spec, status } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  if (metadata['name'] !== ROLLOUT_NAME) return undefined;
  const namespace = asString(metadata['namespace']);
  const value: RolloutRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    namespace,
    uid: asString(metadata['uid']),
    generation: Number(metadata['generation'] ?? 0),
    deleting: metadata['deletionTimestamp'] !== undefined,
    ...contentOf(object, spec),
    status: mtlsRolloutStatusSchema.catch({}).parse(status ?? {}),
    kept: Object.fromEntries(KEPT.flatMap((of) => (metadata[of] === undefined ? [] : [[of, metadata[of]]]))),
  };
  return { key: rolloutKey(namespace), value };
}

export function rolloutKey(namespace: string): string {
  return `${namespace}/${ROLLOUT_NAME}`;
}

function contentOf(object: unknown, spec: unknown): Pick<RolloutRecord, 'spec' | 'problem'> {
  try {
    return { spec: parseMTLSRollout(object).spec, problem: undefined };
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    return { spec: readableOf(spec), problem: error.message };
  }
}

/** Workload by workload: one that cannot be read takes none of the others with it. A workload goes whole, for its ports stand where the others of it do unless they are named. */
function readableOf(spec: unknown): MTLSRolloutSpec {
  const { workloads } = isRecord(spec) ? spec : {};
  const found = new Map<string, WorkloadEntry>();
  for (const entry of Array.isArray(workloads) ? workloads : []) {
    const { data } = mtlsRolloutSpecSchema.safeParse({ workloads: [entry] });
    for (const one of data?.workloads ?? []) found.set(`${one.kind}/${one.name}`, one);
  }
  return found.size === 0 ? {} : { workloads: [...found.values()] };
}
