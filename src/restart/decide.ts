/** Whether a workload has to be restarted for the certificate in the Secret: pure. */
import { annotations, restartedForKey } from '../api/index.ts';
import type { Attempt } from './begun.ts';
import type { Workload } from './workload.ts';

/** The certificate that is in the Secret. */
export interface Present {
  readonly serialNumber: string;
  /** When it was issued (ms), or shortly after: never before. */
  readonly issuedAt: number;
  /** No other certificate has been in the Secret. */
  readonly first: boolean;
}

export type BlockedReason =
  | 'WorkloadNotFound'
  | 'WorkloadHeldBack'
  | 'RestartForbidden'
  | 'RestartRefused'
  /** It was restarted, and the annotation that says so is gone. */
  | 'RestartUndone';

export type Step =
  /** Has been restarted, or has no pod that could have an older certificate. */
  | { readonly step: 'done' }
  | { readonly step: 'restart' }
  /** Has been restarted for this certificate, and its pods are being replaced. */
  | { readonly step: 'progressing' }
  /** As before, but Kubernetes has given up waiting for the new pods. */
  | { readonly step: 'stalled'; readonly message: string }
  /** Has been restarted for an earlier certificate, or for another Secret, and its pods are still being replaced. */
  | { readonly step: 'wait' }
  | { readonly step: 'blocked'; readonly reason: BlockedReason; readonly message: string };

/**
 * Kubernetes never gives up on a StatefulSet or DaemonSet: one with a node that is down would not be restarted again for ever. After so long (ms) an
 * earlier restart no longer counts as under way.
 */
const LONGEST_ROLLOUT = 3_600_000;

/**
 * @param workload undefined where there is none of that name.
 * @param attempt what this operator has done about it for the present certificate.
 */
export function decide(
  workload: Workload | undefined,
  present: Present,
  now: number,
  attempt: Attempt | undefined,
): Step {
  if (workload === undefined || workload.deleting) {
    const message = 'there is no such workload in this namespace: make it, or take it out of spec.restart';
    return { step: 'blocked', reason: 'WorkloadNotFound', message };
  }
  const { rollout } = workload;
  if (workload.restartedFor === present.serialNumber) {
    if (rollout.state === 'complete') return { step: 'done' };
    return rollout.state === 'progressing' ? { step: 'progressing' } : { step: 'stalled', message: rollout.message };
  }
  // Whatever has become of the annotation since: the pods that had the older certificate are gone.
  if (attempt === 'through' || !mayRunOnOlder(workload, present)) return { step: 'done' };
  if (attempt === 'begun') return undone;
  if (workload.heldBack !== undefined) {
    return { step: 'blocked', reason: 'WorkloadHeldBack', message: workload.heldBack };
  }
  return isUnderWay(workload, now) ? { step: 'wait' } : { step: 'restart' };
}

/** Another try would be undone like the one before. */
export const undone = {
  step: 'blocked',
  reason: 'RestartUndone',
  message:
    `another writer puts the pod template back, as a GitOps tool, another operator or an admission webhook may: have it leave the annotations ` +
    `${restartedForKey('*')} and ${annotations.restartedAt} alone, then ask for a renewal with the annotation ${annotations.renewAt}`,
} as const satisfies Step;

/** Whether a pod of the workload could have read an older certificate than the present one. */
function mayRunOnOlder(workload: Workload, present: Present): boolean {
  if (workload.desired === 0) return false;
  // Times of the API server are whole seconds, cut off.
  if (workload.created > present.issuedAt) return false;
  // Its pods have waited for the Secret to come.
  return !present.first || workload.restartedFor !== undefined;
}

/** A rollout that somebody else has begun is no reason to wait: its pods may have read the older certificate, and Kubernetes goes on with the newest template. */
function isUnderWay({ rollout, restartedAt }: Workload, now: number): boolean {
  return rollout.state === 'progressing' && restartedAt !== undefined && now - restartedAt < LONGEST_ROLLOUT;
}
