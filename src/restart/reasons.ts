/** What the condition Restarted says: pure, from what was found of each workload. No message holds a countdown. */
import type { ConditionStatus, RestartTarget } from '../api/index.ts';
import type { BlockedReason, Step } from './decide.ts';

export type RestartReason =
  | 'Restarted'
  | BlockedReason
  /** A look or a restart has failed, and is repeated. */
  | 'RestartFailed'
  /** Pods are being replaced. */
  | 'RestartInProgress'
  /** Kubernetes has given up waiting for the new pods. */
  | 'RestartStalled'
  /** Others are restarted first, or an earlier restart is still under way. */
  | 'RestartWaiting';

export interface Verdict {
  readonly status: ConditionStatus;
  readonly reason: RestartReason;
  readonly message: string;
}

export interface Finding {
  readonly target: RestartTarget;
  readonly step:
    | Exclude<Step, { readonly step: 'restart' }>
    | { readonly step: 'queued' }
    | { readonly step: 'failed'; readonly message: string };
}

/** What needs somebody to act comes first: one reason stands for all workloads. */
const byUrgency: readonly RestartReason[] = [
  'RestartForbidden',
  'WorkloadNotFound',
  'WorkloadHeldBack',
  'RestartRefused',
  'RestartUndone',
  'RestartFailed',
  'RestartStalled',
  'RestartInProgress',
  'RestartWaiting',
  'Restarted',
];

/** Reasons that somebody has to do something about. */
export const problems: ReadonlySet<string> = new Set(byUrgency.slice(0, byUrgency.indexOf('RestartInProgress')));

export function verdictOf(findings: readonly Finding[], serialNumber: string): Verdict {
  const open = findings.flatMap(({ target, step }) => {
    const { reason, message } = describe(step);
    return reason === 'Restarted' ? [] : [{ reason, message: `${target.kind} "${target.name}": ${message}` }];
  });
  const reason = byUrgency.find((candidate) => open.some((finding) => finding.reason === candidate));
  if (reason === undefined) {
    const message = `no pod of the workloads in spec.restart is from before certificate ${serialNumber}`;
    return { status: 'True', reason: 'Restarted', message };
  }
  const message = `for certificate ${serialNumber}: ${open.map((finding) => finding.message).join('; ')}`;
  return { status: 'False', reason, message };
}

function describe(step: Finding['step']): { readonly reason: RestartReason; readonly message: string } {
  switch (step.step) {
    case 'done':
      return { reason: 'Restarted', message: '' };
    case 'progressing':
      return { reason: 'RestartInProgress', message: 'is being restarted' };
    case 'wait':
      return { reason: 'RestartWaiting', message: 'waits until its last restart is through' };
    case 'queued':
      return { reason: 'RestartWaiting', message: 'waits until other workloads have been restarted' };
    case 'stalled':
      return { reason: 'RestartStalled', message: `was restarted, and its new pods do not get ready: ${step.message}` };
    case 'failed':
      return { reason: 'RestartFailed', message: `could not be tried: ${step.message}` };
    case 'blocked':
      return step;
  }
}
