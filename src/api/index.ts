export {
  type CertificateAuthority,
  type CertificateAuthoritySpec,
  type CertificateAuthorityStatus,
  certificateAuthoritySchema,
  certificateAuthoritySpecSchema,
  certificateAuthorityStatusSchema,
  parseCertificateAuthority,
} from './certificateAuthority.ts';
export {
  type Condition,
  type ConditionStatus,
  findCondition,
  type NewCondition,
  setCondition,
} from './conditions.ts';
export { type Consumers, MOST_CONSUMER_NAMES } from './consumers.ts';
export { formatDuration, isDuration, parseDuration } from './duration.ts';
export { canonicalCidr, canonicalIp } from './ip.ts';
export {
  API_VERSION,
  certificateAuthorityKind,
  GROUP,
  type Kind,
  kinds,
  mtlsPolicyKind,
  mtlsRolloutKind,
  VERSION,
  workloadCertificateKind,
} from './kinds.ts';
export {
  AUTHORITY_FINALIZER,
  annotations,
  FIELD_MANAGER,
  injectionValues,
  LONGEST_OBJECT_NAME,
  labels,
  managers,
  OPERATOR_LEASE,
  purposes,
  restartedForKey,
  SIDECAR_SECRET_PREFIX,
} from './labels.ts';
export { InvalidObjectError, type ObjectMeta } from './metadata.ts';
export { DEFAULT_MODE, higher, isBelow, lower, type Mode, modes } from './modes.ts';
export {
  type MTLSPolicy,
  type MTLSPolicySpec,
  type MTLSPolicyStatus,
  mtlsPolicySpecSchema,
  mtlsPolicyStatusSchema,
  parseMTLSPolicy,
  type Scope,
} from './mtlsPolicy.ts';
export {
  MOST_WORKLOAD_PORTS,
  MOST_WORKLOADS,
  type MTLSRollout,
  type MTLSRolloutSpec,
  type MTLSRolloutStatus,
  mtlsRolloutSpecSchema,
  mtlsRolloutStatusSchema,
  parseMTLSRollout,
  ROLLOUT_NAME,
  type RolloutPhase,
} from './mtlsRollout.ts';
export type { NameRule } from './nameRules.ts';
export type { NamespaceSelector } from './namespaceSelector.ts';
export {
  DEFAULT_ALIAS,
  GENERATED_PASSWORD_KEY,
  isKeystore,
  type KeystoreType,
  type OutputType,
  outputTypes,
} from './outputs.ts';
export { operatorAccount, WEBHOOK_CONFIGURATION } from './rbac.ts';
export { leastUseSeconds } from './renewBefore.ts';
export { type RestartKind, type RestartTarget, resourceOfKind, restartKinds } from './restart.ts';
export { defaultKeySize, type KeyAlgorithm } from './shared.ts';
export { iso, parseTime } from './time.ts';
export {
  parseStoredWorkloadCertificate,
  parseWorkloadCertificate,
  type Usage,
  type WorkloadCertificate,
  type WorkloadCertificateSpec,
  type WorkloadCertificateStatus,
  workloadCertificateSpecSchema,
  workloadCertificateStatusSchema,
} from './workloadCertificate.ts';
