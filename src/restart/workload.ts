/** What is read of a Deployment, StatefulSet or DaemonSet: whether its pods can be replaced, and how far the last replacement is. */
import * as z from 'zod';
import { annotations, type RestartKind, restartedForKey } from '../api/index.ts';

/** Where the replacement of a workload's pods stands. Stalled: Kubernetes has given up waiting for the new pods. */
export type Rollout =
  | { readonly state: 'complete' }
  | { readonly state: 'progressing' }
  | { readonly state: 'stalled'; readonly message: string };

export interface Workload {
  readonly uid: string;
  readonly resourceVersion: string;
  /** ms */
  readonly created: number;
  readonly deleting: boolean;
  /** Pods that are wanted. */
  readonly desired: number;
  /** Why a changed pod template would not, or not everywhere, lead to new pods; undefined: it would. */
  readonly heldBack: string | undefined;
  readonly rollout: Rollout;
  /** Serial number of the certificate for which it was restarted last. */
  readonly restartedFor: string | undefined;
  /** When that was, for whichever certificate (ms). */
  readonly restartedAt: number | undefined;
}

const count = z.int().min(0);

const workloadSchema = z.object({
  metadata: z.object({
    uid: z.string().min(1),
    resourceVersion: z.string().min(1),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
    generation: z.int().default(0),
  }),
  spec: z.object({
    replicas: count.default(1),
    paused: z.boolean().default(false),
    updateStrategy: z
      .object({
        type: z.string().default('RollingUpdate'),
        rollingUpdate: z.object({ partition: count.default(0) }).default({ partition: 0 }),
      })
      .default({ type: 'RollingUpdate', rollingUpdate: { partition: 0 } }),
    template: z.object({
      metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }).default({ annotations: {} }),
    }),
  }),
  status: z
    .object({
      observedGeneration: z.int().default(0),
      replicas: count.default(0),
      updatedReplicas: count.default(0),
      availableReplicas: count.default(0),
      currentRevision: z.string().default(''),
      updateRevision: z.string().default(''),
      desiredNumberScheduled: count.default(0),
      updatedNumberScheduled: count.default(0),
      conditions: z
        .array(z.object({ type: z.string(), reason: z.string().default(''), message: z.string().default('') }))
        .default([]),
    })
    .prefault({}),
});
type Read = z.output<typeof workloadSchema>;

/** @throws ZodError where it is no such workload. */
export function readWorkload(kind: RestartKind, secretName: string, object: unknown): Workload {
  const read = workloadSchema.parse(object);
  const { metadata, spec, status } = read;
  const marks = spec.template.metadata.annotations;
  const restartedAt = Date.parse(marks[annotations.restartedAt] ?? '');
  return {
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    created: Date.parse(metadata.creationTimestamp),
    deleting: metadata.deletionTimestamp !== undefined,
    desired: kind === 'DaemonSet' ? status.desiredNumberScheduled : spec.replicas,
    heldBack: heldBack(kind, read),
    // Until its controller has seen the present template, status tells about the one before.
    rollout: status.observedGeneration < metadata.generation ? { state: 'progressing' } : rollouts[kind](read),
    restartedFor: marks[restartedForKey(secretName)],
    restartedAt: Number.isNaN(restartedAt) ? undefined : restartedAt,
  };
}

function heldBack(kind: RestartKind, { spec: { paused, updateStrategy } }: Read): string | undefined {
  if (kind === 'Deployment') return paused ? 'it is paused: resume it ("kubectl rollout resume")' : undefined;
  if (updateStrategy.type === 'OnDelete')
    return 'its updateStrategy is OnDelete: delete its pods yourself, or make it RollingUpdate';
  const { partition } = updateStrategy.rollingUpdate;
  if (kind === 'DaemonSet' || partition === 0) return undefined;
  return `its updateStrategy holds back pods (partition ${partition}): make the partition 0`;
}

const rollouts: Readonly<Record<RestartKind, (read: Read) => Rollout>> = {
  Deployment({ spec, status }) {
    // Says how the last replacement went, and keeps to it when pods fail later.
    const progressing = status.conditions.find(({ type }) => type === 'Progressing');
    if (progressing?.reason === 'NewReplicaSetAvailable') return { state: 'complete' };
    if (progressing?.reason === 'ProgressDeadlineExceeded') return { state: 'stalled', message: progressing.message };
    const { replicas, updatedReplicas, availableReplicas } = status;
    return complete(
      updatedReplicas >= spec.replicas && replicas <= updatedReplicas && availableReplicas >= updatedReplicas,
    );
  },
  StatefulSet: ({ status }) => complete(status.currentRevision === status.updateRevision),
  DaemonSet: ({ status }) => complete(status.updatedNumberScheduled >= status.desiredNumberScheduled),
};

const complete = (is: boolean): Rollout => ({ state: is ? 'complete' : 'progressing' });
