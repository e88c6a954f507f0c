/** What an MTLSRollout says of itself: pure. */
import {
  type Condition,
  type MTLSRolloutSpec,
  type MTLSRolloutStatus,
  mtlsRolloutStatusSchema,
  setCondition,
} from '../api/index.ts';
import type { Repair } from './reconcile.ts';

const MOST_NAMES = 5;

export interface Told {
  readonly spec: MTLSRolloutSpec;
  readonly generation: number;
  /** Pods (namespace/name) whose proxies something waits for. */
  readonly silent: readonly string[];
  /** A replica of proxy-api does not know the record yet. */
  readonly replicas: boolean;
  /** Workloads that are one too many for a record. */
  readonly leftOut: readonly string[];
  /** What was put right since everything was last settled. */
  readonly repair: Repair | undefined;
}

/** @param at RFC 3339. */
export function rolloutStatus(before: MTLSRolloutStatus, told: Told, at: string): MTLSRolloutStatus {
  const { generation, repair } = told;
  const verdict = settledVerdict(told);
  let conditions: readonly Condition[] = before.conditions ?? [];
  const ours = (condition: Omit<Condition, 'lastTransitionTime'>): void => {
    conditions = setCondition(conditions, { ...condition, observedGeneration: generation }, at);
  };
  ours({ type: 'Settled', ...verdict });
  if (repair !== undefined) ours({ type: 'Repaired', status: 'True', reason: repair.reason, message: repair.message });
  else if (verdict.status === 'True') conditions = conditions.filter(({ type }) => type !== 'Repaired');
  return mtlsRolloutStatusSchema.parse({ ...before, conditions, observedGeneration: generation });
}

function settledVerdict({ leftOut, replicas, silent, spec }: Told): Pick<Condition, 'status' | 'reason' | 'message'> {
  if (leftOut.length > 0) {
    const message = `a record has no place for so many workloads: ${some(leftOut)} have none, and their proxies stay closed. Spread them over namespaces`;
    return { status: 'False', reason: 'TooManyWorkloads', message };
  }
  const moving = (spec.workloads ?? []).flatMap((entry) =>
    [entry, ...(entry.ports ?? [])].some(({ phase }) => phase !== 'Settled') ? [`${entry.kind}/${entry.name}`] : [],
  );
  if (moving.length === 0)
    return { status: 'True', reason: 'Settled', message: 'every port is in the mode that policies ask for' };
  const waits = replicas
    ? '. Waiting for replicas of proxy-api that do not know the record yet'
    : silent.length === 0
      ? ''
      : `. Waiting for the proxies of ${some(silent)}`;
  return { status: 'False', reason: 'Switching', message: `on their way: ${some(moving)}${waits}` };
}

function some(names: readonly string[]): string {
  const first = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? `${first} and ${names.length - MOST_NAMES} more` : first;
}
