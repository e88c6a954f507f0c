/**
 * The catalogue of what the certificate domain tells its users: the reasons that stand in conditions, events, metrics and the
 * log. A reason is CamelCase and stable; its message says what is wrong, where, and what to do.
 */

/** Why a new certificate is issued. In the order in which they are looked for: the first that holds is the one that is named. */
export const issueReasons = [
  'SecretMissing',
  'SecretIncomplete',
  'SecretUnreadable',
  'KeyMismatch',
  'ChainBroken',
  'SpecChanged',
  'AuthorityChanged',
  'NotYetValid',
  'Expired',
  'RenewalRequested',
  'RenewalDue',
] as const;
export type IssueReason = (typeof issueReasons)[number];

/** Why the Secret is written again around the same key and certificate. */
export const rewriteReasons = ['TrustBundleChanged', 'ChainChanged', 'OutputsChanged', 'MetadataChanged'] as const;
export type RewriteReason = (typeof rewriteReasons)[number];

/** Why nothing can be issued at present, although something may be due. */
export type RefusalReason =
  | 'AuthorityNotFound'
  | 'AuthorityNotReady'
  | 'NamesDenied'
  | 'RequestInvalid'
  | 'SpecInvalid'
  | 'SecretConflict'
  | 'SecretTypeConflict'
  | 'SecretImmutable'
  | 'PasswordNotFound'
  | 'PasswordInvalid';

/** What stands in the way of writing the Secret again, too. */
export const blocksRewrites: ReadonlySet<RefusalReason> = new Set(['PasswordNotFound', 'PasswordInvalid']);

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

export type ReadyReason = 'Ready' | 'Failed' | IssueReason | RewriteReason | RefusalReason;

export type IssuingReason = 'Issued' | SetbackReason | 'RenewAtInvalid' | IssueReason | RefusalReason;

/** The last attempt failed, or has to wait. */
export type SetbackReason = 'Failed' | 'Damped' | 'OwnerReferenceForbidden';

/** The sentence for a reason to issue: used alike in the status, the event and the log. */
export function describeIssue(reason: IssueReason, detail: string): string {
  return detail === '' ? sentences[reason] : `${sentences[reason]}: ${detail}`;
}

export function describeRewrite(reason: RewriteReason, detail: string): string {
  return `${rewriteSentences[reason]}: ${detail}`;
}

const rewriteSentences: Readonly<Record<RewriteReason, string>> = {
  TrustBundleChanged: 'the Secret does not hold the authority’s roots',
  ChainChanged: 'the Secret does not hold the authority’s intermediates',
  OutputsChanged: 'the Secret does not hold the outputs of the spec',
  MetadataChanged: 'labels, annotations or owners of the Secret are not what the spec asks for',
};

const sentences: Readonly<Record<IssueReason, string>> = {
  SecretMissing: 'the Secret does not exist',
  SecretIncomplete: 'the Secret lacks data',
  SecretUnreadable: 'the Secret holds something that is not a certificate or key',
  KeyMismatch: 'the private key in the Secret does not belong to its certificate',
  ChainBroken: 'the certificate in the Secret is not signed by the chain beside it',
  SpecChanged: 'the certificate in the Secret is not what the spec asks for',
  AuthorityChanged: 'the certificate was signed by a CA that is not the authority’s',
  NotYetValid: 'the certificate is not valid yet: it was issued by a clock that ran ahead',
  Expired: 'the certificate has expired',
  RenewalRequested: 'the annotation mtls-operator.io/renew-at asks for it',
  RenewalDue: 'the certificate is due for renewal',
};
