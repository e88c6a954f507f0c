/** Which mode a port of a pod has, by which policy, and why. */
export {
  type Considered,
  type Decision,
  type DeclaredPort,
  decideMode,
  describeOutcome,
  type Effective,
  effectiveMode,
  type Outcome,
  type Question,
} from './effective.ts';
export { type Answers, EffectiveIndex, type PodClass, type PodShape } from './effectiveIndex.ts';
export { type Labels, type Policy, type PortRule, readPolicy, scopeOf } from './policy.ts';
