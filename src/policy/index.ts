/** Which mode a port of a pod has, by which policy, and why; and what becomes of each policy, in its status. */
export { PolicyController } from './controller.ts';
export {
  type Considered,
  type Decision,
  decideMode,
  describeOutcome,
  type Effective,
  effectiveMode,
  type Outcome,
  type Question,
} from './effective.ts';
export { type Answers, decidersIn, EffectiveIndex, type PodClass } from './effectiveIndex.ts';
export type { Enforcement, PolicyProxies } from './enforcement.ts';
export { type Labels, type Policy, type PortRule, readPolicy, scopeOf } from './policy.ts';
export { decodePolicy, type PolicyRecord } from './policyRecord.ts';
