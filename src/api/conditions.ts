/** Conditions as all of Kubernetes has them (metav1.Condition; KEP-1623): one entry per type, changed in place. */

export type ConditionStatus = 'True' | 'False' | 'Unknown';

export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  /** CamelCase, for machines; never empty. */
  readonly reason: string;
  /** For people: what is wrong, where, what to do. */
  readonly message: string;
  /** RFC 3339: when `status` last changed, not when the condition was last written. */
  readonly lastTransitionTime: string;
  /** metadata.generation that was judged. */
  readonly observedGeneration?: number | undefined;
}

export type NewCondition = Omit<Condition, 'lastTransitionTime'>;

/** Limits of metav1.Condition: a message past it would make the API server refuse the whole status. */
export const CONDITION_MESSAGE_MAX_LENGTH = 32_768;
export const CONDITION_REASON_MAX_LENGTH = 1_024;

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/**
 * The conditions with `next` in the place of the one of its type, others as they are. `lastTransitionTime` stays while
 * `status` is equal. If nothing differs the same array is returned, so that "nothing to write" is `===`.
 *
 * @param now RFC 3339; used only if the status differs from before.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  next: NewCondition,
  now: string,
): readonly Condition[] {
  const message = truncate(next.message, CONDITION_MESSAGE_MAX_LENGTH);
  const before = findCondition(conditions, next.type);
  if (conditions === undefined || before === undefined) {
    return [...(conditions ?? []), { ...next, message, lastTransitionTime: now }];
  }
  const unchanged =
    before.status === next.status &&
    before.reason === next.reason &&
    before.message === message &&
    before.observedGeneration === next.observedGeneration;
  if (unchanged) return conditions;
  const lastTransitionTime = before.status === next.status ? before.lastTransitionTime : now;
  const after: Condition = { ...next, message, lastTransitionTime };
  return conditions.map((condition) => (condition === before ? after : condition));
}

/** The API server counts code points; cutting inside a surrogate pair would make invalid UTF-8 of it. */
function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const points = Array.from(text);
  return points.length <= length ? text : `${points.slice(0, length - 1).join('')}…`;
}
