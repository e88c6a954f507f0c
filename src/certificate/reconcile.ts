/** WorkloadCertificate: reads, has the pure parts decide, writes at most one Secret and one status. */

import { type WorkloadCertificate, workloadCertificateKind } from '../api/index.ts';
import type { AuthorityCatalogue, AuthorityView } from '../authority/index.ts';
import {
  ApiError,
  type Clock,
  type EventRecorder,
  isNotFound,
  type Log,
  mergePatch,
  messageOf,
  type ReconcileResult,
  type Store,
  type Transport,
} from '../kube/index.ts';
import type { LeafProfile } from '../pki/index.ts';
import { type CertificateRecord, decodeCertificate, readCertificate } from './certificateRecord.ts';
import { type Claims, secretKey } from './claims.ts';
import { type Decision, type Desired, decide, renewalOf, type Signer, type Situation } from './decide.ts';
import type { KeyMaker } from './keys.ts';
import type { Memory } from './memory.ts';
import type { CertificateMetrics } from './metrics.ts';
import { type Claimant, judgeOwnership } from './ownership.ts';
import type { Pacer } from './pacer.ts';
import { describeIssue, type Refusal } from './reasons.ts';
import { desiredMetadataDigest, desiredOutputs } from './render.ts';
import { durationsOf, requestFor } from './request.ts';
import { digestOf, type SecretRecord } from './secretRecord.ts';
import { SecretWriter, type Written } from './secretWriter.ts';
import { certificateStatus, type Judgement } from './status.ts';

export interface CertificateDependencies {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly metrics: CertificateMetrics;
  readonly clusterDomain: string;
  readonly certificates: Store<CertificateRecord>;
  readonly secrets: Store<SecretRecord>;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>;
  readonly catalogue: AuthorityCatalogue;
  readonly claims: Claims;
  readonly pacer: Pacer;
  readonly memory: Memory;
  readonly keys: KeyMaker;
  /** Whether the authority exists and has not been looked at yet: then nothing can be said, and its view will bring its certificates back. */
  readonly authorityPending: (authority: string) => boolean;
  /** Runs what changes a store by our own doing, so that it is not taken for news. */
  readonly quietly: (change: () => void) => void;
}

/** Somebody else's Secret stands in no cache of ours: it is looked at again after so long (ms). */
const CONFLICT_RECHECK = 30_000;
const FORBIDDEN_OWNER_RECHECK = 600_000;
/** A Secret that was read live may be gone or changed when it is written: look again so many times before the queue takes over. */
const MAX_LOOKS = 3;

/** Everything that is known of one certificate at one moment. */
interface Look {
  readonly key: string;
  readonly certificate: WorkloadCertificate;
  readonly record: CertificateRecord;
  readonly authority: AuthorityView | undefined;
  readonly profile: LeafProfile | undefined;
  readonly refusal: Refusal | undefined;
  readonly situation: Situation;
  readonly decision: Decision;
  /** With the same cause, the same write is the same quarrel. */
  readonly cause: string;
}

export function createCertificateReconciler(dependencies: CertificateDependencies) {
  const { certificates, secrets, catalogue, claims, clock, keys, log, memory, metrics, pacer } = dependencies;
  const writer = new SecretWriter(dependencies);
  const dueSince = new Map<string, number>();

  return async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = certificates.get(key);
    if (record === undefined || record.deleting) return forget(key);
    if (dependencies.authorityPending(record.authority)) return {};
    const certificate = readCertificate(record);
    if ('problem' in certificate) return invalid(key, certificate.problem);

    let secret = secrets.get(secretKey(record));
    // What stood in the way last time is in no cache of ours: look before making a key in vain.
    if (secret === undefined && wasRefused(certificate)) secret = await writer.read(record, signal);
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const look = lookAt(key, record, certificate, secret);
      const conflict = judgeOwnership(record.secretName, secret, claimantOf(record), rivalsOf(key, record));
      if (conflict !== undefined) return await standBack(look, conflict, signal);
      const { decision } = look;
      if (decision.action === 'none') return await rest(look, signal);
      const outcome =
        decision.action === 'issue' ? await issue(look, decision, signal) : await rewrite(look, decision, signal);
      if (!('found' in outcome)) return outcome;
      secret = outcome.found;
    }
    throw new Error(`Secret ${secretKey(record)} changes faster than it can be written`);
  };

  // ---- looking

  function lookAt(
    key: string,
    record: CertificateRecord,
    certificate: WorkloadCertificate,
    secret: SecretRecord | undefined,
  ): Look {
    const { spec } = certificate;
    const authority = catalogue.get(record.authority);
    const { profile, refusal } = requestFor(spec, {
      namespace: record.namespace,
      namespaceLabels: dependencies.namespaceLabels(record.namespace),
      clusterDomain: dependencies.clusterDomain,
      authorityName: record.authority,
      authority,
    });
    const situation: Situation = {
      now: clock.now(),
      identity: key,
      desired: profile && desiredOf(certificate, record, profile),
      signer: authority && signerOf(authority),
      secret,
      renewAt: renewAtOf(record),
    };
    const cause = `${record.generation} ${record.uid} ${authority?.digest ?? ''}`;
    return { key, certificate, record, authority, profile, refusal, situation, decision: decide(situation), cause };
  }

  function rivalsOf(key: string, record: CertificateRecord): Claimant[] {
    return claims.ofSecret(secretKey(record)).flatMap((other) => {
      const rival = other === key ? undefined : certificates.get(other);
      return rival === undefined || rival.deleting ? [] : [claimantOf(rival)];
    });
  }

  // ---- acting

  async function standBack(look: Look, conflict: Refusal, signal: AbortSignal): Promise<ReconcileResult> {
    pacer.leave(look.key);
    dueSince.delete(look.key);
    const decision: Decision = { action: 'issue', reason: 'SecretMissing', detail: '', urgency: 0 };
    warnOfRefusal({ ...look, refusal: conflict });
    await writeStatus(
      look,
      { decision, refusal: conflict, secret: undefined, renewalTime: undefined, authorityFingerprint: undefined },
      signal,
    );
    return { requeueAt: clock.now() + CONFLICT_RECHECK };
  }

  async function rest(look: Look, signal: AbortSignal): Promise<ReconcileResult> {
    pacer.leave(look.key);
    dueSince.delete(look.key);
    keys.forget(look.key);
    warnOfRefusal(look);
    await writeStatus(look, judgementOf(look, look.situation.secret), signal);
    return wakeAt(look.decision);
  }

  async function issue(look: Look, decision: Extract<Decision, { action: 'issue' }>, signal: AbortSignal) {
    const { key, authority, profile, refusal, situation } = look;
    if (!dueSince.has(key)) dueSince.set(key, dueAt(look, decision));
    const issuer = authority?.issuer;
    if (refusal !== undefined || authority === undefined || issuer === undefined || profile === undefined) {
      return await refuse(look, signal);
    }
    const waiting = await holdBack(look, signal);
    if (waiting !== undefined) return waiting;
    if (!pacer.enter(key, decision.urgency)) return {};
    const made = await keyFor(look, profile, signal);
    if (made === undefined) return {};
    return await attempt(look, signal, async () => {
      const written = await writer.issue(
        { ...look, authority, issuer, profile, key: made, renewedAt: honoured(situation) },
        signal,
      );
      if ('found' in written) return written;
      metrics.issuances.inc({ outcome: 'issued', reason: decision.reason });
      metrics.latency.observe(
        { reason: decision.reason },
        Math.max(0, clock.now() - (dueSince.get(key) ?? clock.now())) / 1000,
      );
      dueSince.delete(key);
      announce(look, decision, written);
      return await settle(look, written, signal);
    });
  }

  async function rewrite(look: Look, decision: Extract<Decision, { action: 'rewrite' }>, signal: AbortSignal) {
    pacer.leave(look.key);
    const { authority } = look;
    if (authority === undefined || look.profile === undefined) return await rest(look, signal);
    const waiting = await holdBack(look, signal);
    if (waiting !== undefined) return waiting;
    return await attempt(look, signal, async () => {
      const written = await writer.rewrite({ ...look, authority }, signal);
      if ('found' in written) return written;
      metrics.rewrites.inc({ reason: decision.reason });
      const { namespace, name, secretName } = look.record;
      log.info(
        { namespace, name, secretName, reason: decision.reason, detail: decision.detail, writer: written.rival },
        'wrote the Secret again around the same certificate',
      );
      return await settle(look, written, signal);
    });
  }

  /** After a write: look at the result as at any Secret, and say so in the status. */
  async function settle(look: Look, written: Written, signal: AbortSignal): Promise<ReconcileResult> {
    memory.wrote(look.key, look.cause, clock.now());
    if (written.secret.holder !== undefined)
      dependencies.quietly(() => secrets.observe(secretKey(look.record), written.secret));
    const after = lookAt(look.key, look.record, look.certificate, written.secret);
    const setback =
      written.ownerForbidden === undefined
        ? undefined
        : ({ kind: 'OwnerReferenceForbidden', message: written.ownerForbidden } as const);
    await writeStatus(after, { ...judgementOf(after, written.secret), setback }, signal);
    return setback === undefined ? wakeAt(after.decision) : { requeueAt: clock.now() + FORBIDDEN_OWNER_RECHECK };
  }

  async function refuse(look: Look, signal: AbortSignal): Promise<ReconcileResult> {
    const { key, situation } = look;
    pacer.leave(key);
    warnOfRefusal(look);
    await writeStatus(look, judgementOf(look, situation.secret), signal);
    // Namespace, authority and spec report their changes; only expiry comes by itself.
    const { secret } = situation;
    const notAfter = secret?.content.state === 'sound' ? secret.content.leaf.notAfter : 0;
    return notAfter > situation.now ? { requeueAt: notAfter } : {};
  }

  /** A failure that must rest, or a quarrel that is damped: @returns when to come back, undefined to go ahead. */
  async function holdBack(look: Look, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const { key, cause, situation } = look;
    const retryAt = memory.retryAt(key, cause, situation.now);
    if (retryAt > situation.now) return { requeueAt: retryAt };
    // Time passing is nobody's doing: renewals are never damped.
    if (look.decision.action === 'issue' && timely.has(look.decision.reason)) return undefined;
    const until = memory.dampedUntil(key, cause, situation.now);
    if (until <= situation.now) return undefined;
    pacer.leave(key);
    const rival = await writer.rivalOf(look.record, signal);
    const reason = look.decision.action === 'none' ? '' : look.decision.reason;
    const message =
      `the Secret is changed again and again by ${rival} (last: ${reason}), and is mended at growing intervals: ` +
      `stop that writer, or delete this WorkloadCertificate`;
    if (findIssuing(look.certificate)?.message !== message) warn(look, 'Damped', message);
    await writeStatus(look, { ...judgementOf(look, situation.secret), setback: { kind: 'Damped', message } }, signal);
    return { requeueAt: until };
  }

  async function keyFor(look: Look, profile: LeafProfile, signal: AbortSignal) {
    const { certificate, key, situation } = look;
    if (certificate.spec.privateKey.rotationPolicy === 'Never' && situation.secret?.content.state === 'sound') {
      const kept = await writer.keyOf(look.record, profile.request.key, signal);
      if (kept !== undefined) return kept;
    }
    return await keys.take(key, profile.request.key);
  }

  /** Writes; a refusal of the API server becomes status and backoff, what is no answer goes to the queue. */
  async function attempt<T>(look: Look, signal: AbortSignal, write: () => Promise<T>): Promise<T | ReconcileResult> {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500 || error.status === 409) throw error;
      return await fail(look, error, signal);
    }
  }

  async function fail(look: Look, error: ApiError, signal: AbortSignal): Promise<ReconcileResult> {
    const { key, record, situation, decision } = look;
    if (isEnding(error)) {
      log.debug({ namespace: record.namespace, name: record.name }, 'the namespace is being deleted');
      return { requeueAt: situation.now + CONFLICT_RECHECK };
    }
    const before = look.certificate.status.failedAttempts ?? 0;
    const sameSpec = look.certificate.status.observedGeneration === record.generation;
    const counted = memory.failed(key, look.cause, situation.now);
    const attempts = sameSpec ? Math.max(counted, before + 1) : counted;
    const message = `the API server refuses the Secret "${record.secretName}": ${error.message}`;
    metrics.issuances.inc({ outcome: 'failed', reason: decision.action === 'none' ? '' : decision.reason });
    log.error(
      { namespace: record.namespace, name: record.name, reason: error.reason, attempts, error: messageOf(error) },
      'issuance failed',
    );
    warn(look, 'Failed', message);
    const setback = { kind: 'Failed', message, attempts, at: situation.now } as const;
    await writeStatus(look, { ...judgementOf(look, situation.secret), setback }, signal);
    return { requeueAt: memory.retryAt(key, look.cause, situation.now) };
  }

  function invalid(key: string, problem: string): ReconcileResult {
    // The API server refuses such objects today; this one was stored under an older schema. Its Secret stays as it is.
    log.error({ key, error: problem }, 'this WorkloadCertificate cannot be read: correct its spec');
    pacer.leave(key);
    return {};
  }

  function forget(key: string): ReconcileResult {
    pacer.leave(key);
    memory.forget(key);
    keys.forget(key);
    dueSince.delete(key);
    return {};
  }

  // ---- telling

  function judgementOf(look: Look, secret: SecretRecord | undefined): Judgement {
    const { decision, refusal, situation, authority } = look;
    const content = secret?.content;
    const signer = content?.state === 'sound' ? authority?.knownIssuers.get(content.leaf.issuerKeyId) : undefined;
    return { decision, refusal, secret, renewalTime: renewalOf(situation), authorityFingerprint: signer?.fingerprint };
  }

  async function writeStatus(look: Look, judgement: Judgement, signal: AbortSignal): Promise<void> {
    const { certificate, record, situation } = look;
    const renewAt = record.renewAt !== undefined && situation.renewAt === undefined ? record.renewAt : undefined;
    if (renewAt !== undefined) {
      const message = `the annotation mtls-operator.io/renew-at is ${JSON.stringify(renewAt.slice(0, 64))}: write an RFC 3339 time, as in 2026-11-22T17:00:00Z`;
      warn(look, 'RenewAtInvalid', message);
    }
    const patch = mergePatch(certificate.status, certificateStatus(certificate, judgement, situation.now));
    if (patch === undefined) return;
    const path = workloadCertificateKind.path(record.namespace, record.name, 'status');
    try {
      const body = { metadata: { uid: record.uid }, status: patch };
      const patched = decodeCertificate(await dependencies.transport.request({ method: 'PATCH', path, body, signal }));
      dependencies.quietly(() => certificates.observe(patched.key, patched.value));
    } catch (error) {
      // Gone, or made anew under the same name: its own event brings it here.
      if (!isNotFound(error) && !(error instanceof ApiError && error.status === 409)) throw error;
    }
  }

  function announce(look: Look, decision: Extract<Decision, { action: 'issue' }>, written: Written): void {
    const { namespace, name, secretName } = look.record;
    const { secret } = written;
    if (secret.content.state !== 'sound') return;
    const { serialNumber, notAfter } = secret.content.leaf;
    const { dnsNames, ipAddresses, uris, emailAddresses } = look.profile?.request ?? {};
    const until = new Date(notAfter).toISOString();
    const duration = look.certificate.spec.duration;
    const fields = {
      namespace,
      name,
      secretName,
      reason: decision.reason,
      serialNumber,
      duration,
      notAfter: until,
      revision: secret.revision,
    };
    log.info({ ...fields, dnsNames, ipAddresses, uris, emailAddresses }, 'issued a certificate');
    if (secret.revision > 1) return;
    const note = `Issued certificate ${serialNumber}, valid until ${until}, into Secret "${secretName}" (${describeIssue(decision.reason, decision.detail)})`;
    dependencies.events.record({
      regarding: referenceTo(look),
      type: 'Normal',
      reason: 'Issued',
      action: 'Issue',
      note,
    });
  }

  /** Once per refusal, also where nothing is due yet: a rule that was withdrawn must be heard of long before expiry. */
  function warnOfRefusal(look: Look): void {
    const { record, refusal } = look;
    if (refusal === undefined || findIssuing(look.certificate)?.reason === refusal.reason) return;
    warn(look, refusal.reason, refusal.message);
    log.warn({ namespace: record.namespace, name: record.name, reason: refusal.reason }, refusal.message);
  }

  function warn(look: Look, reason: string, note: string): void {
    dependencies.events.record({ regarding: referenceTo(look), type: 'Warning', reason, action: 'Issue', note });
  }
}

/** Reasons that come by time alone. */
const timely: ReadonlySet<string> = new Set(['RenewalDue', 'RenewalRequested', 'Expired']);

function desiredOf({ spec }: WorkloadCertificate, record: CertificateRecord, profile: LeafProfile): Desired {
  return {
    ...durationsOf(spec),
    profileDigest: profile.digest,
    keyEncoding: spec.privateKey.encoding,
    outputs: desiredOutputs(spec),
    metadataDigest: desiredMetadataDigest(spec, record),
    ownerUid: spec.deletionPolicy === 'Delete' ? record.uid : '',
  };
}

const signers = new WeakMap<AuthorityView, Signer>();

/** Absent while the authority does not know its own CAs: then nothing that hangs on them can be judged. */
function signerOf(authority: AuthorityView): Signer | undefined {
  if (authority.knownIssuers.size === 0) return undefined;
  const known = signers.get(authority);
  if (known !== undefined) return known;
  const issuers = [...authority.knownIssuers].map(
    ([id, { notAfter, chainPem }]) => [id, { notAfter, chainDigest: digestOf(chainPem) }] as const,
  );
  const signer = {
    knownIssuers: new Map(issuers),
    bundleDigest: digestOf(authority.bundlePem),
    maxDurationSeconds: authority.maxDurationSeconds,
  };
  signers.set(authority, signer);
  return signer;
}

/** RFC 3339, with a time zone: Date.parse alone takes much else, in the local zone of whoever runs it. */
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

function renewAtOf({ renewAt }: CertificateRecord): Situation['renewAt'] {
  if (renewAt === undefined || !RFC_3339.test(renewAt)) return undefined;
  const at = Date.parse(renewAt);
  return Number.isNaN(at) ? undefined : { text: renewAt, at };
}

/** What the new certificate honours: any request whose time has come. */
function honoured({ renewAt, now, secret }: Situation): string | undefined {
  return renewAt !== undefined && renewAt.at <= now ? renewAt.text : secret?.renewedAt;
}

function claimantOf({ name, uid, created }: CertificateRecord): Claimant {
  return { name, uid, created };
}

function wasRefused({ status }: WorkloadCertificate): boolean {
  const reason = status.conditions?.find(({ type }) => type === 'Ready')?.reason ?? '';
  return reason.startsWith('Secret') && reason !== 'SecretMissing';
}

function findIssuing({ status }: WorkloadCertificate) {
  return status.conditions?.find(({ type }) => type === 'Issuing');
}

function wakeAt(decision: Decision): ReconcileResult {
  if (decision.action === 'issue' || decision.wakeAt === Number.MAX_SAFE_INTEGER) return {};
  return { requeueAt: decision.wakeAt };
}

/** When what is due now fell due: creation for a first certificate, else the moment that made it due where that is known. */
function dueAt({ record, situation }: Look, decision: Extract<Decision, { action: 'issue' }>): number {
  if (decision.reason === 'RenewalDue') return renewalOf(situation) ?? situation.now;
  // creationTimestamp has whole seconds: measuring from it would add half a second that nobody waited.
  return Math.max(situation.now, record.created);
}

function isEnding(error: ApiError): boolean {
  return error.causes.some(({ reason }) => reason === 'NamespaceTerminating');
}

function referenceTo({ record, certificate }: Look) {
  const { namespace, name, uid } = record;
  return {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    namespace,
    name,
    uid,
    resourceVersion: certificate.metadata.resourceVersion,
  };
}
