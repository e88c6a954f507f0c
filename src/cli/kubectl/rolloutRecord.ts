/** What the command line wants to know of MTLSRollouts and MTLSPolicies: how far each workload is switched, and what is said of it. Pure. */
import {
  type Condition,
  findCondition,
  type MTLSRolloutSpec,
  mtlsPolicyStatusSchema,
  mtlsRolloutSpecSchema,
  ROLLOUT_NAME,
} from '../../api/index.ts';
import { property, stringAt } from '../../kube/index.ts';
import { timeOf } from './certificateStatus.ts';

type Entry = NonNullable<MTLSRolloutSpec['workloads']>[number];
/** Of a port, or of all without an entry of their own. */
export type Switch = Pick<Entry, 'clients' | 'phase' | 'servers' | 'since' | 'target'>;

export interface WorkloadSwitch {
  readonly others: Switch;
  readonly ports: readonly (Switch & { readonly port: number })[];
}

export interface RolloutRecord {
  readonly namespace: string;
  /** By `kind/name`. */
  readonly workloads: ReadonlyMap<string, WorkloadSwitch>;
  /** Said of the whole, where it is not settled. */
  readonly unsettled: Condition | undefined;
}

/** Workload by workload: one that cannot be read hides none of the others. Objects of another name mean nothing. */
export function readRollout(object: unknown): RolloutRecord | undefined {
  const metadata = property(object, 'metadata');
  const namespace = stringAt(metadata, 'namespace');
  if (!namespace || stringAt(metadata, 'name') !== ROLLOUT_NAME) return undefined;
  const written = property(property(object, 'spec'), 'workloads');
  const workloads = new Map<string, WorkloadSwitch>();
  for (const entry of Array.isArray(written) ? written : []) {
    for (const one of mtlsRolloutSpecSchema.safeParse({ workloads: [entry] }).data?.workloads ?? [])
      workloads.set(`${one.kind}/${one.name}`, { others: one, ports: one.ports ?? [] });
  }
  const settled = conditionOf(object, 'Settled');
  return { namespace, workloads, unsettled: settled?.status === 'False' ? settled : undefined };
}

/** What an MTLSPolicy says of sidecars that do not do what it asks for. */
export interface PolicyTrouble {
  readonly policy: string;
  readonly condition: Condition;
}

/** Reasons of the condition Enforced that are about sidecars which lag or refuse; their messages name them. */
const TROUBLES: readonly string[] = ['ProxiesLag', 'Refused'];

export function readPolicyTrouble(object: unknown): PolicyTrouble | undefined {
  const metadata = property(object, 'metadata');
  const condition = conditionOf(object, 'Enforced');
  if (condition === undefined || !TROUBLES.includes(condition.reason)) return undefined;
  return { policy: `${stringAt(metadata, 'namespace')}/${stringAt(metadata, 'name')}`, condition };
}

function conditionOf(object: unknown, type: string): Condition | undefined {
  // All kinds have the same conditions.
  const status = mtlsPolicyStatusSchema.pick({ conditions: true }).safeParse(property(object, 'status') ?? {});
  return findCondition(status.data?.conditions, type);
}

/** All of it that has not come to its end, the longest on its way first. */
export function unsettled({ others, ports }: WorkloadSwitch): readonly (Switch & { readonly port?: number })[] {
  return [others, ...ports]
    .filter(({ phase }) => phase !== 'Settled')
    .sort((one, other) => (timeOf(one.since) ?? 0) - (timeOf(other.since) ?? 0));
}
