/** The status of an MTLSPolicy from what is judged of it: pure. */
import {
  type Condition,
  findCondition,
  type MTLSPolicyStatus,
  mtlsPolicyStatusSchema,
  setCondition,
} from '../api/index.ts';
import { conditionTypes, type Judgement, type Verdict } from './judge.ts';

/**
 * What others have written stays. What is not known yet stays as it was said of the same generation, as by the leader before: whoever waits for it must not see it come and go.
 * @param at now, as the API writes times.
 */
export function statusWith(
  before: MTLSPolicyStatus,
  judgement: Judgement,
  generation: number,
  at: string,
): MTLSPolicyStatus {
  const { counted, effective, verdicts } = judgement;
  const stays = !counted && findCondition(before.conditions, 'Enforced')?.observedGeneration === generation;
  const ours = new Set<string>(conditionTypes);
  const told = new Set<string>(verdicts.map(({ type }) => type));
  let conditions: readonly Condition[] = (before.conditions ?? []).filter(
    ({ type }) => !ours.has(type) || told.has(type),
  );
  for (const verdict of verdicts) {
    if (verdict.type === 'Enforced' && stays) continue;
    conditions = setCondition(conditions, conditionOf(verdict, generation), at);
  }
  const { effective: was, ...rest } = before;
  const proxies = stays ? was?.proxies : undefined;
  const is = proxies === undefined ? effective : { ...effective, proxies };
  return mtlsPolicyStatusSchema.parse({
    ...rest,
    conditions,
    observedGeneration: generation,
    ...(Object.keys(is).length === 0 ? {} : { effective: is }),
  });
}

const conditionOf = ({ type, status, reason, message }: Verdict, observedGeneration: number) => ({
  type,
  status,
  reason,
  message,
  observedGeneration,
});
