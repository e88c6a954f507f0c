/**
 * When to issue: an ordered chain of pure checks over what the spec asks for, what the Secret holds and who signs. The first
 * check that hits gives the decision and its name; none means that there is nothing to do until `wakeAt`.
 *
 * The order matters twice. What makes the Secret useless comes before what makes it old, so that the reason is the one a
 * person would give; and everything that needs a new certificate comes before what only needs the Secret rewritten, so that two
 * causes together still cost one write.
 */

import type { IssueReason, RewriteReason } from './reasons.ts';
import type { SecretRecord, SoundContent } from './secretRecord.ts';
import { isValidityFor, renewalTime } from './validity.ts';

export interface Desired {
  /** Digest of subject, names, usages and key kind: `LeafProfile.digest`. */
  readonly profileDigest: string;
  readonly durationSeconds: number;
  readonly renewBeforeSeconds: number | undefined;
  readonly keyEncoding: string;
  /** Sorted output types. */
  readonly outputs: string;
  /** Digest of the labels and annotations that the Secret must carry. */
  readonly metadataDigest: string;
  /** Owner references of ours that it must carry: the UID with deletionPolicy Delete, else ''. */
  readonly ownerUid: string;
}

/** One CA of the authority whose leaves are good. */
export interface KnownIssuer {
  readonly notAfter: number;
  /** Digest of the intermediates that belong behind a leaf of this CA in tls.crt. */
  readonly chainDigest: string;
}

export interface Signer {
  /** By `caIdOf`: the current issuing CA and its predecessors under the same roots. */
  readonly knownIssuers: ReadonlyMap<string, KnownIssuer>;
  readonly bundleDigest: string;
  readonly maxDurationSeconds: number;
  /** When the CA that signs at present ends (ms); undefined: none can sign. */
  readonly signsUntil: number | undefined;
}

export interface Situation {
  readonly now: number;
  /** namespace/name, the seed of the spread. */
  readonly identity: string;
  /** Absent: the spec cannot be judged at present (authority not found or request invalid); what needs no spec is still checked. */
  readonly desired: Desired | undefined;
  readonly signer: Signer | undefined;
  readonly secret: SecretRecord | undefined;
  /** The annotation renew-at: its text and, where that is a time, the instant. */
  readonly renewAt?: { readonly text: string; readonly at: number } | undefined;
  /** Whether the keystores in the Secret are of its key, certificates and their passwords; undefined: there are none, or it is not known. */
  readonly keystoresAreRight?: boolean | undefined;
}

export type Decision =
  | { readonly action: 'issue'; readonly reason: IssueReason; readonly detail: string; readonly urgency: number }
  | { readonly action: 'rewrite'; readonly reason: RewriteReason; readonly detail: string; readonly wakeAt: number }
  | { readonly action: 'none'; readonly wakeAt: number };

type Hit = { readonly reason: IssueReason; readonly detail: string };

/** Before every expiry: where the workload has no usable certificate, or a person waits for what they have just asked for. */
const NOW = 0;
const asked: ReadonlySet<IssueReason> = new Set(['SpecChanged', 'RenewalRequested']);

export function decide(situation: Situation): Decision {
  const broken = brokenSecret(situation);
  if (broken !== undefined) return { action: 'issue', ...broken, urgency: NOW };
  const content = soundContent(situation);
  for (const check of issueChecks) {
    const hit = check(situation, content);
    // The nearer the expiry, the more urgent: after an outage the queue drains in the order in which workloads would fail.
    if (hit !== undefined)
      return { action: 'issue', ...hit, urgency: asked.has(hit.reason) ? NOW : content.leaf.notAfter };
  }
  const wakeAt = nextLook(situation, content);
  for (const check of rewriteChecks) {
    const hit = check(situation, content);
    if (hit !== undefined) return { action: 'rewrite', ...hit, wakeAt };
  }
  return { action: 'none', wakeAt };
}

/**
 * When a sound certificate is renewed (ms); undefined while its spec cannot be judged, and where it lasts as long as its CA already: a renewal that
 * lengthens nothing would be followed by ever more of them, at ever shorter intervals, until the CA ends.
 */
export function renewalOf(situation: Situation): number | undefined {
  const { desired, signer, secret } = situation;
  if (desired === undefined || secret?.content.state !== 'sound') return undefined;
  if (signer?.signsUntil !== undefined && signer.signsUntil <= secret.content.leaf.notAfter) return undefined;
  const durationSeconds = Math.min(desired.durationSeconds, signer?.maxDurationSeconds ?? desired.durationSeconds);
  const times = { durationSeconds, renewBeforeSeconds: desired.renewBeforeSeconds };
  return renewalTime(secret.content.leaf, times, situation.identity);
}

/** When the next certificate is going to be issued (ms), as far as time alone decides: on request, where that is sooner. */
export function nextRenewalOf(situation: Situation): number | undefined {
  const own = renewalOf(situation);
  const requested = pendingRequest(situation);
  if (requested === undefined || situation.desired === undefined || situation.secret?.content.state !== 'sound')
    return own;
  return own === undefined ? requested : Math.min(own, requested);
}

/** A time to come that renew-at asks for. */
function pendingRequest({ now, renewAt, secret }: Situation): number | undefined {
  if (renewAt === undefined || renewAt.at <= now || secret?.renewedAt === renewAt.text) return undefined;
  return renewAt.at;
}

function brokenSecret({ secret }: Situation): Hit | undefined {
  if (secret === undefined) return { reason: 'SecretMissing', detail: '' };
  if (secret.content.state === 'broken') return { reason: secret.content.reason, detail: secret.content.detail };
  return undefined;
}

function soundContent({ secret }: Situation): SoundContent {
  if (secret?.content.state !== 'sound')
    throw new Error('a Secret that is missing or broken has been dealt with before');
  return secret.content;
}

const issueChecks: readonly ((situation: Situation, content: SoundContent) => Hit | undefined)[] = [
  specChanged,
  authorityChanged,
  notYetValid,
  expired,
  renewalRequested,
  renewalDue,
];

function specChanged({ desired, signer }: Situation, { leaf, keyEncoding }: SoundContent): Hit | undefined {
  if (desired === undefined) return undefined;
  if (leaf.profileDigest !== desired.profileDigest)
    return { reason: 'SpecChanged', detail: 'names, usages, subject or key' };
  if (keyEncoding !== desired.keyEncoding) return { reason: 'SpecChanged', detail: 'privateKey.encoding' };
  const issuer = signer?.knownIssuers.get(leaf.issuerId);
  if (signer === undefined || issuer === undefined) return undefined;
  const limits = { maxDurationSeconds: signer.maxDurationSeconds, issuerNotAfter: issuer.notAfter };
  if (!isValidityFor(leaf, desired.durationSeconds, limits)) return { reason: 'SpecChanged', detail: 'duration' };
  return undefined;
}

function authorityChanged({ signer }: Situation, { leaf }: SoundContent): Hit | undefined {
  // A renewed issuing CA stands beside its predecessors here: leaves of those stay good until their own time comes.
  if (signer === undefined || signer.knownIssuers.has(leaf.issuerId)) return undefined;
  return { reason: 'AuthorityChanged', detail: '' };
}

/** Issued by a clock that ran ahead: peers refuse it, and a new one helps at once. */
function notYetValid({ now }: Situation, { leaf }: SoundContent): Hit | undefined {
  if (now >= leaf.notBefore) return undefined;
  return { reason: 'NotYetValid', detail: `not before ${new Date(leaf.notBefore).toISOString()}` };
}

function expired({ now }: Situation, { leaf }: SoundContent): Hit | undefined {
  if (now < leaf.notAfter) return undefined;
  return { reason: 'Expired', detail: new Date(leaf.notAfter).toISOString() };
}

function renewalRequested({ now, renewAt, secret }: Situation): Hit | undefined {
  // The value that was honoured is kept on the Secret: the same request is honoured once, whatever restarts or is restored.
  if (renewAt === undefined || now < renewAt.at || secret?.renewedAt === renewAt.text) return undefined;
  return { reason: 'RenewalRequested', detail: renewAt.text };
}

function renewalDue(situation: Situation): Hit | undefined {
  const at = renewalOf(situation);
  if (at === undefined || situation.now < at) return undefined;
  return { reason: 'RenewalDue', detail: `since ${new Date(at).toISOString()}` };
}

type RewriteHit = { readonly reason: RewriteReason; readonly detail: string };

const rewriteChecks: readonly ((situation: Situation, content: SoundContent) => RewriteHit | undefined)[] = [
  function trustBundleChanged({ signer }, { caDigest }) {
    if (signer === undefined || caDigest === signer.bundleDigest) return undefined;
    return { reason: 'TrustBundleChanged', detail: 'ca.crt' };
  },
  function chainChanged({ signer }, { leaf, chainDigest }) {
    const issuer = signer?.knownIssuers.get(leaf.issuerId);
    if (issuer === undefined || issuer.chainDigest === chainDigest) return undefined;
    return { reason: 'ChainChanged', detail: 'intermediates in tls.crt' };
  },
  function outputsChanged({ desired }, { outputs }) {
    if (desired === undefined || outputs === desired.outputs) return undefined;
    return { reason: 'OutputsChanged', detail: `has [${outputs}], should have [${desired.outputs}]` };
  },
  function keystoresChanged({ keystoresAreRight }) {
    if (keystoresAreRight !== false) return undefined;
    return { reason: 'OutputsChanged', detail: 'keystores of another key, other certificates or another password' };
  },
  function metadataChanged({ desired, secret }) {
    if (desired === undefined || secret === undefined) return undefined;
    if (secret.metadataDigest !== desired.metadataDigest)
      return { reason: 'MetadataChanged', detail: 'labels or annotations' };
    if (secret.ownerUid !== desired.ownerUid) return { reason: 'MetadataChanged', detail: 'owner reference' };
    return undefined;
  },
];

/** The next instant at which time alone changes the decision. */
function nextLook(situation: Situation, { leaf }: SoundContent): number {
  const { now } = situation;
  const times = [renewalOf(situation) ?? leaf.notAfter, pendingRequest(situation) ?? Number.MAX_SAFE_INTEGER];
  return Math.min(...times.filter((time) => time > now));
}
