/** spec.restart: workloads whose program reads its certificate only once, when it starts. */
import * as z from 'zod';
import { mapField } from './lists.ts';
import { objectNameRules } from './names.ts';
import { field, textField } from './rules.ts';

export const restartKinds = ['Deployment', 'StatefulSet', 'DaemonSet'] as const;
export type RestartKind = (typeof restartKinds)[number];

/** The permission to restart each of them is asked for, one by one: admission allows an object only so many questions. */
export const MOST_RESTARTS = 8;

export interface RestartTarget {
  readonly kind: RestartKind;
  readonly name: string;
}

/** As in URLs and permissions: `deployments` for Deployment. */
export function resourceOfKind(kind: RestartKind): string {
  return `${kind.toLowerCase()}s`;
}

export const restartField = mapField(
  z.object({
    kind: field(z.enum(restartKinds), 'Kind of the workload: Deployment, StatefulSet or DaemonSet.'),
    name: textField(253, 'Name of the workload.', objectNameRules('workload')),
  }),
  ['kind', 'name'],
  { max: MOST_RESTARTS },
  `Workloads of the same namespace, at most ${MOST_RESTARTS}, that are restarted after each renewal, as by "kubectl rollout
  restart", once the new certificate is in the Secret. For programs that read their certificate only when they start; all others
  are better off without. A few at a time in the whole cluster, none while its last restart is under way, and none whose pods
  cannot have an older certificate. The condition Restarted tells how far it is. Setting it, or changing a certificate that has
  it, needs permission to patch these workloads. The operator needs that permission, too: restart.enabled in the Helm chart.
  Default: none. Example: [{kind: Deployment, name: web}].`,
);
