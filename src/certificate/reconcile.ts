/** WorkloadCertificate: reads, has the pure parts decide, writes at most one Secret and one status. */

import { annotations, iso, type WorkloadCertificate } from '../api/index.ts';
import type { AuthorityCatalogue } from '../authority/index.ts';
import {
  ApiError,
  type Clock,
  type EventRecorder,
  type Log,
  messageOf,
  type ReconcileResult,
  type Store,
  type Transport,
} from '../kube/index.ts';
import { type LeafProfile, PkiError } from '../pki/index.ts';
import { type CertificateRecord, NO_STATUS, readCertificate } from './certificateRecord.ts';
import { type Claims, secretKey } from './claims.ts';
import type { Decision } from './decide.ts';
import type { KeyMaker } from './keys.ts';
import { asksForKeystores } from './keystoreFiles.ts';
import { Keystores, keystoresRecheckAt } from './keystores.ts';
import { dueSince, honoured, type IssueDecision, judgementOf, type Look, lookAt, outrunsAuthority } from './look.ts';
import type { Memory } from './memory.ts';
import type { CertificateMetrics } from './metrics.ts';
import { type Claimant, judgeOwnership } from './ownership.ts';
import type { Pacer } from './pacer.ts';
import { blocksRewrites, type Refusal } from './reasons.ts';
import type { SecretRecord } from './secretRecord.ts';
import { type Found, SecretWriter, type Written } from './secretWriter.ts';
import { Teller } from './tell.ts';

/** What the reconciler is given from outside its domain. */
export interface CertificateWorld {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly clusterDomain: string;
  readonly certificates: Store<CertificateRecord>;
  readonly secrets: Store<SecretRecord>;
  /** Undefined for a namespace that is not known yet. */
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
  readonly catalogue: AuthorityCatalogue;
  /** Whether the authority exists and has not been looked at yet: then nothing can be said, and its view will bring its certificates back. */
  readonly authorityPending: (authority: string) => boolean;
  /** Has the authority looked at again: what hangs on it has changed. */
  readonly wakeAuthority: (authority: string) => void;
}

export interface CertificateDependencies extends CertificateWorld {
  readonly metrics: CertificateMetrics;
  readonly claims: Claims;
  readonly pacer: Pacer;
  readonly memory: Memory;
  readonly keys: KeyMaker;
  /** Runs what changes a store by our own doing, so that it is not taken for news. */
  readonly quietly: (change: () => void) => void;
}

/** Somebody else's Secret stands in no cache of ours: it is looked at again after so long (ms). */
const CONFLICT_RECHECK = 30_000;
/** What only an administrator can change, and no event reports (ms). */
const FORBIDDEN_RECHECK = 600_000;
/** The authority's look at what leaves hang on takes a few requests; if it finds their CA, that wakes the certificates too (ms). */
const AUTHORITY_RECHECK = 1_000;
/** A Secret that was read live may be gone or changed when it is written: look again so many times before the queue takes over. */
const MAX_LOOKS = 3;

export function createCertificateReconciler(dependencies: CertificateDependencies) {
  const { certificates, secrets, catalogue, claims, clock, keys, log, memory, metrics, pacer } = dependencies;
  const keystores = new Keystores(dependencies);
  const writer = new SecretWriter({ ...dependencies, keystores });
  const teller = new Teller(dependencies);
  const waitingSince = new Map<string, number>();

  return async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = certificates.get(key);
    if (record === undefined || record.deleting) return forget(key);
    if (dependencies.authorityPending(record.authority)) return {};
    const namespaceLabels = dependencies.namespaceLabels(record.namespace);
    // Labels decide about names. Its own event will bring the namespace, and with it its certificates; guessing could give names away.
    if (namespaceLabels === undefined) return {};
    let secret = secrets.get(secretKey(record));
    // Nothing has ever been said of it: it must be issued, and whatever more there is to know is known when its turn has come.
    if (secret === undefined && record.status === NO_STATUS && pacer.hold(key)) {
      if (!waitingSince.has(key)) waitingSince.set(key, clock.now());
      return {};
    }
    const certificate = readCertificate(record);
    if ('problem' in certificate) {
      rests(key);
      await teller.invalid(record, certificate.problem, signal);
      return {};
    }
    const { spec } = certificate;
    const passwords = asksForKeystores(spec) ? await keystores.passwords(key, record, spec, signal) : undefined;
    let last: Look | undefined;
    const look = (secret: SecretRecord | undefined): Look => {
      const authority = catalogue.get(record.authority);
      const surroundings = {
        now: clock.now(),
        clusterDomain: dependencies.clusterDomain,
        namespaceLabels,
        authority,
        passwords,
        keystoresAreRight: passwords && secret && keystores.areRight(key, secret, passwords),
      };
      last = lookAt(record, certificate, secret, surroundings, last);
      return last;
    };

    // What stood in the way last time is in no cache of ours: look before making a key in vain.
    if (secret === undefined && wasRefused(certificate)) secret = await writer.read(record, signal);
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      if (passwords !== undefined && secret?.holder === record.name)
        secret = await keystores.judge(key, record, spec, secret, passwords, signal);
      const conflict = judgeOwnership(record, secret, claimantOf(record), rivalsOf(key, record));
      const outcome = await act(look(secret), conflict, look, signal);
      if (!('found' in outcome)) return outcome;
      secret = outcome.found;
    }
    throw new Error(`Secret ${secretKey(record)} changes faster than it can be written`);
  };

  function rivalsOf(key: string, record: CertificateRecord): Claimant[] {
    return claims.ofSecret(secretKey(record)).flatMap((other) => {
      const rival = other === key ? undefined : certificates.get(other);
      return rival === undefined || rival.deleting ? [] : [claimantOf(rival)];
    });
  }

  // ---- acting

  type Again = (secret: SecretRecord | undefined) => Look;

  async function act(
    look: Look,
    conflict: Refusal | undefined,
    again: Again,
    signal: AbortSignal,
  ): Promise<ReconcileResult | Found> {
    if (conflict !== undefined) return await standBack(look, conflict, signal);
    const { decision } = look;
    switch (decision.action) {
      case 'issue':
        if (outrunsAuthority(look)) {
          rests(look.key);
          dependencies.wakeAuthority(look.record.authority);
          return { requeueAt: clock.now() + AUTHORITY_RECHECK };
        }
        return await issue(look, decision, again, signal);
      case 'rewrite':
        return await rewrite(look, decision.reason, again, signal);
      case 'none':
        return await rest(look, signal);
    }
  }

  async function standBack(look: Look, conflict: Refusal, signal: AbortSignal): Promise<ReconcileResult> {
    rests(look.key);
    teller.refusal({ ...look, refusal: conflict });
    const decision: Decision = { action: 'issue', reason: 'SecretMissing', detail: '', urgency: 0 };
    const nothing = { secret: undefined, renewalTime: undefined, authorityFingerprint: undefined };
    await teller.status(look, { decision, refusal: conflict, ...nothing }, signal);
    return { requeueAt: clock.now() + CONFLICT_RECHECK };
  }

  async function rest(look: Look, signal: AbortSignal): Promise<ReconcileResult> {
    rests(look.key);
    teller.refusal(look);
    await teller.status(look, judgementOf(look, look.situation.secret), signal);
    return wakeAt(look);
  }

  async function issue(
    look: Look,
    decision: IssueDecision,
    again: Again,
    signal: AbortSignal,
  ): Promise<ReconcileResult | Found> {
    const { key, authority, profile, refusal, situation } = look;
    if (!waitingSince.has(key)) waitingSince.set(key, dueSince(look, decision));
    const issuer = authority?.issuer;
    if (refusal !== undefined || authority === undefined || issuer === undefined || profile === undefined) {
      return await refuse(look, signal);
    }
    const byTime = isDueByTime(look, decision);
    const waiting = await holdBack(look, byTime, signal);
    if (waiting !== undefined) return waiting;
    if (!pacer.enter(key, decision.urgency)) return {};
    const made = await keyFor(look, profile, signal);
    if (made === undefined) return {};
    return await attempt(look, signal, async () => {
      const order = { ...look, authority, issuer, profile, key: made, renewedAt: honoured(situation) };
      const written = await writer.issue(order, signal);
      if ('found' in written) return written;
      const now = clock.now();
      metrics.issuances.inc({ outcome: 'issued', reason: decision.reason });
      metrics.latency.observe({ reason: decision.reason }, Math.max(0, now - (waitingSince.get(key) ?? now)) / 1000);
      waitingSince.delete(key);
      teller.issued(look, decision, written.secret);
      return await settle(look, written, byTime, again, signal);
    });
  }

  async function rewrite(
    look: Look,
    reason: string,
    again: Again,
    signal: AbortSignal,
  ): Promise<ReconcileResult | Found> {
    const { authority } = look;
    rests(look.key);
    if (authority === undefined || (look.refusal !== undefined && blocksRewrites.has(look.refusal.reason)))
      return await rest(look, signal);
    const waiting = await holdBack(look, false, signal);
    if (waiting !== undefined) return waiting;
    return await attempt(look, signal, async () => {
      const written = await writer.rewrite({ ...look, authority }, signal);
      if ('found' in written) return written;
      metrics.rewrites.inc({ reason });
      teller.rewritten(look, written.rival);
      return await settle(look, written, false, again, signal);
    });
  }

  /** After a write: look at the result as at any Secret, and say so in the status. */
  async function settle(
    { key, cause, record }: Look,
    { secret, ownerForbidden }: Written,
    byTime: boolean,
    again: Again,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    memory.wrote(key, cause, clock.now(), { serialNumber: serialOf(secret), byTime });
    // Without our label a cache of ours would not hold it either.
    if (secret.holder !== undefined) dependencies.quietly(() => secrets.observe(secretKey(record), secret));
    const after = again(secret);
    const judgement = judgementOf(after, secret);
    if (ownerForbidden !== undefined) {
      const setback = { kind: 'OwnerReferenceForbidden', message: ownerForbidden } as const;
      await teller.status(after, { ...judgement, setback }, signal);
      return { requeueAt: clock.now() + FORBIDDEN_RECHECK };
    }
    await teller.status(after, judgement, signal);
    if (after.decision.action === 'none') return wakeAt(after);
    // Somebody changes what we write while it is written, a webhook perhaps. No event will tell: our own answer is not taken for news.
    log.warn(
      { namespace: record.namespace, name: record.name, reason: after.decision.reason },
      'the Secret was changed in writing',
    );
    return { requeueAt: clock.now() };
  }

  async function refuse(look: Look, signal: AbortSignal): Promise<ReconcileResult> {
    pacer.leave(look.key);
    keys.forget(look.key);
    teller.refusal(look);
    const { now, secret } = look.situation;
    await teller.status(look, judgementOf(look, secret), signal);
    // Namespace, authority and spec report their changes; only expiry comes by itself.
    const notAfter = endOf(secret) ?? 0;
    return earliest(notAfter > now ? notAfter : undefined, look.passwords?.recheckAt);
  }

  /** A failure that must rest, or a quarrel that is damped: @returns when to come back, undefined to go ahead. */
  async function holdBack(look: Look, byTime: boolean, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const { key, cause, decision, situation } = look;
    const retryAt = memory.retryAt(key, cause, situation.now, endOf(situation.secret));
    if (retryAt > situation.now) return { requeueAt: retryAt };
    if (byTime || decision.action === 'none') return undefined;
    const until = memory.dampedUntil(key, cause, situation.now);
    if (until <= situation.now) return undefined;
    pacer.leave(key);
    const rival = await writer.rivalOf(look.record, signal);
    const message =
      `the Secret is changed again and again by ${rival} (last: ${decision.reason}), and is mended at growing intervals, next at ${iso(until)}: ` +
      `stop that writer, or delete this WorkloadCertificate; the annotation ${annotations.renewAt} with the present time has it mended at once`;
    teller.damped(look, message);
    const setback = { kind: 'Damped', message } as const;
    await teller.status(look, { ...judgementOf(look, situation.secret), setback }, signal);
    return { requeueAt: until };
  }

  function isDueByTime({ key, situation }: Look, { reason }: IssueDecision): boolean {
    if (reason !== 'RenewalDue' && reason !== 'Expired') return false;
    return situation.secret !== undefined && memory.isDueByTime(key, serialOf(situation.secret), situation.now);
  }

  async function keyFor(look: Look, profile: LeafProfile, signal: AbortSignal) {
    const { certificate, key, record, situation } = look;
    if (certificate.spec.privateKey.rotationPolicy === 'Never' && situation.secret !== undefined) {
      const kept = await writer.keyOf(record, profile.request.key, signal);
      if (kept !== undefined) return kept;
    }
    return await keys.take(key, profile.request.key);
  }

  /** Writes; a refusal becomes status and backoff, what is no answer goes to the queue. */
  async function attempt(
    look: Look,
    signal: AbortSignal,
    write: () => Promise<ReconcileResult | Found>,
  ): Promise<ReconcileResult | Found> {
    try {
      return await write();
    } catch (error) {
      if (error instanceof PkiError) return await fail(look, error.reason, error.message, signal);
      if (!(error instanceof ApiError) || error.status >= 500 || error.status === 409) throw error;
      if (isEnding(error)) {
        log.debug({ namespace: look.record.namespace, name: look.record.name }, 'the namespace is being deleted');
        return { requeueAt: clock.now() + CONFLICT_RECHECK };
      }
      const message = `the API server refuses the Secret "${look.record.secretName}": ${messageOf(error)}`;
      return await fail(look, error.reason, message, signal);
    }
  }

  async function fail(look: Look, reason: string, message: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { certificate, key, record, situation, decision } = look;
    const { observedGeneration, failedAttempts = 0 } = certificate.status;
    const counted = memory.failed(key, look.cause, situation.now);
    // After a restart the status is the memory; with a new spec it counts anew.
    const attempts = observedGeneration === record.generation ? Math.max(counted, failedAttempts + 1) : counted;
    metrics.issuances.inc({ outcome: 'failed', reason: decision.action === 'none' ? '' : decision.reason });
    teller.failure(look, { reason, attempts, error: message }, message);
    const setback = { kind: 'Failed', message, attempts, at: situation.now } as const;
    await teller.status(look, { ...judgementOf(look, situation.secret), setback }, signal);
    return { requeueAt: memory.retryAt(key, look.cause, situation.now, endOf(situation.secret)) };
  }

  /** There is nothing to issue. */
  function rests(key: string): void {
    pacer.leave(key);
    keys.forget(key);
    waitingSince.delete(key);
  }

  function forget(key: string): ReconcileResult {
    rests(key);
    memory.forget(key);
    keystores.forget(key);
    return {};
  }
}

function claimantOf({ name, uid, created }: CertificateRecord): Claimant {
  return { name, uid, created };
}

/** When its certificate expires (ms). */
function endOf(secret: SecretRecord | undefined): number | undefined {
  return secret?.content.state === 'sound' ? secret.content.leaf.notAfter : undefined;
}

function serialOf({ content }: SecretRecord): string {
  return content.state === 'sound' ? content.leaf.serialNumber : '';
}

function wasRefused({ status }: WorkloadCertificate): boolean {
  const reason = status.conditions?.find(({ type }) => type === 'Ready')?.reason ?? '';
  return reason.startsWith('Secret') && reason !== 'SecretMissing';
}

function wakeAt({ decision, passwords, situation: { keystoresAreRight, now } }: Look): ReconcileResult {
  const byTime = decision.action === 'issue' ? undefined : decision.wakeAt;
  return earliest(byTime, keystoresRecheckAt(passwords, keystoresAreRight, now));
}

function earliest(...times: readonly (number | undefined)[]): ReconcileResult {
  const requeueAt = Math.min(...times.map((time) => time ?? Number.MAX_SAFE_INTEGER));
  return requeueAt === Number.MAX_SAFE_INTEGER ? {} : { requeueAt };
}

function isEnding(error: ApiError): boolean {
  return error.causes.some(({ reason }) => reason === 'NamespaceTerminating');
}
