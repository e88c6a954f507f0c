/** Every reason that a condition can have. Typed by the catalogues in src: one that is missing here, or left over, does not compile. */
import type { Unmade } from '../../src/authority/generationStore.ts';
import type { Plan } from '../../src/authority/lifecycle.ts';
import type { ProvidedResult } from '../../src/authority/provided.ts';
import type { AuthorityFindings } from '../../src/authority/status.ts';
import type { IssuingReason, ReadyReason } from '../../src/certificate/reasons.ts';
import type { RestartReason } from '../../src/restart/index.ts';

type ProblemOf<Result> = Result extends { readonly problem: { readonly reason: infer Reason } } ? Reason : never;
type AuthorityReason =
  | 'Ready'
  | 'Pending'
  | 'SpecInvalid'
  | NonNullable<Plan['problem']>['reason']
  | Unmade['reason']
  | NonNullable<AuthorityFindings['ending']>['reason']
  | ProblemOf<ProvidedResult>;

const ofCertificates: Readonly<Record<ReadyReason | IssuingReason, true>> = {
  Ready: true,
  Issued: true,
  Failed: true,
  Damped: true,
  OwnerReferenceForbidden: true,
  RenewAtInvalid: true,
  SecretMissing: true,
  SecretIncomplete: true,
  SecretUnreadable: true,
  KeyMismatch: true,
  ChainBroken: true,
  NotYetValid: true,
  SpecChanged: true,
  AuthorityChanged: true,
  Expired: true,
  RenewalRequested: true,
  RenewalDue: true,
  TrustBundleChanged: true,
  ChainChanged: true,
  OutputsChanged: true,
  MetadataChanged: true,
  PasswordNotFound: true,
  PasswordInvalid: true,
  AuthorityNotFound: true,
  AuthorityNotReady: true,
  NamesDenied: true,
  RequestInvalid: true,
  SpecInvalid: true,
  SecretConflict: true,
  SecretTypeConflict: true,
  SecretImmutable: true,
};

const ofRestarts: Readonly<Record<RestartReason, true>> = {
  Restarted: true,
  RestartInProgress: true,
  RestartWaiting: true,
  RestartStalled: true,
  RestartForbidden: true,
  RestartRefused: true,
  RestartUndone: true,
  RestartFailed: true,
  WorkloadNotFound: true,
  WorkloadHeldBack: true,
};

const ofAuthorities: Readonly<Record<AuthorityReason, true>> = {
  Ready: true,
  Pending: true,
  KeyMissing: true,
  GenerationBroken: true,
  GenerationRefused: true,
  RootExpired: true,
  RootExpiring: true,
  CAExpiring: true,
  SpecInvalid: true,
  SecretNotFound: true,
  SecretIncomplete: true,
  SecretUnreadable: true,
  KeyMismatch: true,
  NotACa: true,
  ChainBroken: true,
  Expired: true,
};

/** Of WorkloadCertificates. */
export const certificateReasons: readonly string[] = Object.keys({ ...ofCertificates, ...ofRestarts });
/** Of CertificateAuthorities. */
export const authorityReasons: readonly string[] = Object.keys(ofAuthorities);
