/**
 * The status of a WorkloadCertificate: pure, from what was judged. Messages hold no countdowns and no counters that move by themselves, so
 * that looking again at an unchanged world writes nothing.
 */

import {
  iso,
  parseDuration,
  setCondition,
  type WorkloadCertificate,
  type WorkloadCertificateStatus,
} from '../api/index.ts';
import type { Decision } from './decide.ts';
import {
  blocksRewrites,
  describeIssue,
  describeRewrite,
  type IssueReason,
  type IssuingReason,
  type ReadyReason,
  type Refusal,
  type RewriteReason,
} from './reasons.ts';
import type { SecretRecord } from './secretRecord.ts';

export interface Judgement {
  readonly decision: Decision;
  /** What stands in the way of a new certificate, due or not. */
  readonly refusal: Refusal | undefined;
  /** The Secret, unless it is somebody else's. */
  readonly secret: SecretRecord | undefined;
  readonly renewalTime: number | undefined;
  readonly authorityFingerprint: string | undefined;
  /** The last attempt failed, or has to wait. */
  readonly setback?:
    | { readonly kind: 'Failed'; readonly message: string; readonly attempts: number; readonly at: number }
    | { readonly kind: 'Damped'; readonly message: string }
    | { readonly kind: 'OwnerReferenceForbidden'; readonly message: string }
    | undefined;
  /** What is wrong with the annotation renew-at, which then has no effect. */
  readonly renewAtProblem?: string | undefined;
}

/** A condition without what all of them share. */
interface Verdict<Reason extends string> {
  readonly status: 'True' | 'False';
  readonly reason: Reason;
  readonly message: string;
}

export function certificateStatus(
  certificate: WorkloadCertificate,
  judgement: Judgement,
  now: number,
): WorkloadCertificateStatus {
  const { status: before, metadata, spec } = certificate;
  const { secret, renewalTime, setback } = judgement;
  const at = iso(now);
  const observedGeneration = metadata.generation;
  let conditions = setCondition(
    before.conditions,
    { type: 'Ready', ...ready(judgement, spec), observedGeneration },
    at,
  );
  conditions = setCondition(conditions, { type: 'Issuing', ...issuing(judgement), observedGeneration }, at);
  const content = secret?.content;
  const leaf = content?.state === 'sound' ? content.leaf : undefined;
  const failure = setback?.kind === 'Failed' ? setback : undefined;
  return {
    conditions: [...conditions],
    observedGeneration,
    ...(secret === undefined ? {} : { secretName: spec.secretName, revision: secret.revision }),
    ...(leaf === undefined
      ? {}
      : { notBefore: iso(leaf.notBefore), notAfter: iso(leaf.notAfter), serialNumber: leaf.serialNumber }),
    ...(renewalTime === undefined ? {} : { renewalTime: iso(renewalTime) }),
    ...(judgement.authorityFingerprint === undefined ? {} : { authorityFingerprint: judgement.authorityFingerprint }),
    ...(failure === undefined ? {} : { failedAttempts: failure.attempts, lastFailureTime: iso(failure.at) }),
    ...ofOthers(before),
  };
}

/** What other domains have written stays as it is. */
function ofOthers({ restartedSerialNumber, consumers }: WorkloadCertificateStatus): WorkloadCertificateStatus {
  return {
    ...(restartedSerialNumber === undefined ? {} : { restartedSerialNumber }),
    ...(consumers === undefined ? {} : { consumers }),
  };
}

/** Reasons for a new certificate that leave the present one as good as it was. */
const stillGood: ReadonlySet<IssueReason> = new Set(['RenewalDue', 'RenewalRequested']);

/** Reasons for writing the Secret again that leave what is in it as good as it was. */
const cosmetic: ReadonlySet<RewriteReason> = new Set(['MetadataChanged']);

function ready(
  { decision, refusal, renewalTime, secret, setback }: Judgement,
  spec: WorkloadCertificate['spec'],
): Verdict<ReadyReason> {
  const content = secret?.content;
  const wanted = decision.action === 'issue' && !stillGood.has(decision.reason) ? decision : undefined;
  if (wanted === undefined && content?.state === 'sound') {
    // Only seen here while the write that would mend it is damped or fails.
    if (decision.action === 'rewrite' && !cosmetic.has(decision.reason)) {
      if (refusal !== undefined && blocksRewrites.has(refusal.reason)) return { status: 'False', ...refusal };
      const { reason, detail } = decision;
      return { status: 'False', reason, message: describeRewrite(reason, detail) };
    }
    const { serialNumber, notAfter } = content.leaf;
    return {
      status: 'True',
      reason: 'Ready',
      message: `certificate ${serialNumber} is valid until ${iso(notAfter)}${shortened(content.leaf, spec)}${unheeded(content.leaf, spec, renewalTime)}`,
    };
  }
  // What stands in the way tells more than what is wanted.
  if (refusal !== undefined) return { status: 'False', ...refusal };
  if (setback?.kind === 'Failed') return { status: 'False', reason: 'Failed', message: setback.message };
  const reason = wanted?.reason ?? 'SecretMissing';
  return { status: 'False', reason, message: describeIssue(reason, wanted?.detail ?? '') };
}

/** Says that a certificate lives for less than was asked for. Less by no more than it is backdated is not worth a word. */
function shortened(
  { notBefore, notAfter }: { notBefore: number; notAfter: number },
  { authorityRef, duration }: WorkloadCertificate['spec'],
): string {
  if (notAfter - notBefore >= parseDuration(duration) * 1000) return '';
  return `, for less than the ${duration} of spec.duration: CertificateAuthority "${authorityRef.name}" gives no more, by its maxCertificateDuration or the end of its CA`;
}

/** Says that it is renewed later than was asked for. */
function unheeded(
  { notAfter }: { notAfter: number },
  { renewBefore }: WorkloadCertificate['spec'],
  renewalTime: number | undefined,
): string {
  if (renewBefore === undefined || renewalTime === undefined) return '';
  if (notAfter - renewalTime >= parseDuration(renewBefore) * 1000) return '';
  return `; spec.renewBefore (${renewBefore}) leaves too little of that, so it is renewed when a third of its life is left`;
}

function issuing(judgement: Judgement): Verdict<IssuingReason> {
  const { decision, refusal, secret, renewalTime, setback, renewAtProblem } = judgement;
  if (decision.action === 'issue') {
    if (refusal !== undefined) return { status: 'True', ...refusal };
    if (setback !== undefined) return { status: 'True', reason: setback.kind, message: setback.message };
    const { reason, detail } = decision;
    return { status: 'True', reason, message: describeIssue(reason, detail) };
  }
  if (setback !== undefined) return { status: 'False', reason: setback.kind, message: setback.message };
  if (refusal !== undefined) {
    const when = renewalTime === undefined ? '' : ` at ${iso(renewalTime)}`;
    const message = `the next renewal${when} will be refused: ${refusal.message}`;
    return { status: 'False', reason: refusal.reason, message };
  }
  if (renewAtProblem !== undefined) return { status: 'False', reason: 'RenewAtInvalid', message: renewAtProblem };
  const last = renewalTime === undefined ? ', the last one before the authority’s CA ends' : '';
  return { status: 'False', reason: 'Issued', message: `revision ${secret?.revision ?? 0} is issued${last}` };
}

/** Counts on after a Secret that was deleted: the certificate in the next is not the first that pods have seen. */
export function nextRevision(
  secret: Pick<SecretRecord, 'revision'> | undefined,
  { spec, status }: Pick<WorkloadCertificate, 'spec' | 'status'>,
): number {
  if (secret !== undefined) return secret.revision + 1;
  return (status.secretName === spec.secretName ? (status.revision ?? 0) : 0) + 1;
}
