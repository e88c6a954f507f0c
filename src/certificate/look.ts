/** One look at a certificate: everything that is known of it at one moment, and what follows from that. Pure. */
import { annotations, parseTime, type WorkloadCertificate } from '../api/index.ts';
import { type AuthorityView, digestOf } from '../authority/index.ts';
import type { LeafProfile } from '../pki/index.ts';
import type { CertificateRecord } from './certificateRecord.ts';
import {
  type Decision,
  type Desired,
  decide,
  nextRenewalOf,
  renewalOf,
  type Signer,
  type Situation,
} from './decide.ts';
import type { PasswordLook } from './keystores.ts';
import type { Refusal } from './reasons.ts';
import { desiredMetadataDigest, desiredOutputs } from './render.ts';
import { durationsOf, requestFor, signsUntil } from './request.ts';
import type { SecretRecord } from './secretRecord.ts';
import type { Judgement } from './status.ts';

/** What does not come from the certificate itself. */
export interface Surroundings {
  readonly now: number;
  readonly clusterDomain: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly authority: AuthorityView | undefined;
  /** Where keystores are asked for. */
  readonly passwords?: PasswordLook | undefined;
  readonly keystoresAreRight?: boolean | undefined;
}

export interface Look {
  /** namespace/name */
  readonly key: string;
  readonly certificate: WorkloadCertificate;
  readonly record: CertificateRecord;
  readonly authority: AuthorityView | undefined;
  readonly profile: LeafProfile | undefined;
  readonly refusal: Refusal | undefined;
  readonly situation: Situation;
  readonly decision: Decision;
  readonly passwords: PasswordLook | undefined;
  /** With the same cause, the same write is the same quarrel, and the same failure the same failure. */
  readonly cause: string;
}

export type IssueDecision = Extract<Decision, { action: 'issue' }>;

export function lookAt(
  record: CertificateRecord,
  certificate: WorkloadCertificate,
  secret: SecretRecord | undefined,
  { now, clusterDomain, namespaceLabels, authority, passwords, keystoresAreRight }: Surroundings,
  earlier?: Look,
): Look {
  const { namespace, name, authority: authorityName } = record;
  const key = `${namespace}/${name}`;
  const context = { now, namespace, namespaceLabels, clusterDomain, authorityName, authority };
  // Between two looks of one reconciliation the request changes with the authority only; settling it is most of a look's work.
  const known = earlier?.authority === authority ? earlier : undefined;
  const { profile, refusal = passwords?.refusal } = known ?? requestFor(certificate.spec, context);
  const situation: Situation = {
    now,
    identity: key,
    desired: known === undefined ? profile && desiredOf(certificate, record, profile) : known.situation.desired,
    signer: authority && signerOf(authority),
    secret,
    renewAt: renewAtOf(record),
    keystoresAreRight,
  };
  const cause = `${record.generation} ${record.uid} ${record.renewAt ?? ''} ${authority?.digest ?? ''} ${passwords?.stamp ?? ''}`;
  const decision = decide(situation);
  return { key, certificate, record, authority, profile, refusal, situation, decision, passwords, cause };
}

/** What there is to say of a look, with the Secret as it is now. */
export function judgementOf(look: Look, secret: SecretRecord | undefined): Judgement {
  const { decision, refusal, situation, authority, record } = look;
  const content = secret?.content;
  const signer = content?.state === 'sound' ? authority?.knownIssuers.get(content.leaf.issuerId) : undefined;
  const unread = record.renewAt !== undefined && situation.renewAt === undefined ? record.renewAt : undefined;
  return {
    decision,
    refusal,
    secret,
    renewalTime: nextRenewalOf(situation),
    authorityFingerprint: signer?.fingerprint,
    renewAtProblem: unread === undefined ? undefined : renewAtProblem(unread),
  };
}

function renewAtProblem(text: string): string {
  return `the annotation ${annotations.renewAt} is ${JSON.stringify(text.slice(0, LONGEST_TIME))}: write an RFC 3339 time, as in 2026-11-22T17:00:00Z`;
}

/** The value of renew-at that a new certificate honours: any request whose time has come. */
export function honoured({ renewAt, now, secret }: Situation): string | undefined {
  return renewAt !== undefined && renewAt.at <= now ? renewAt.text : secret?.renewedAt;
}

/** When what is due now fell due (ms): where that is not known, now. */
export function dueSince({ situation }: Look, { reason }: IssueDecision): number {
  return (reason === 'RenewalDue' ? renewalOf(situation) : undefined) ?? situation.now;
}

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

/**
 * Whether the CA behind the leaf may yet turn out to be the authority's: the authority was last looked at before it could know of this Secret, and
 * the CA's own Secret may be lost, or not restored yet. A leaf that has to be renewed anyway does not wait for that.
 */
export function outrunsAuthority({ authority, decision, situation }: Look): boolean {
  if (decision.action !== 'issue' || decision.reason !== 'AuthorityChanged') return false;
  const { now, secret } = situation;
  if (authority?.soughtIssuers === undefined || secret?.content.state !== 'sound') return false;
  // Of others the authority never learns.
  if (!secret.labelled || secret.authority !== authority.name) return false;
  const { leaf } = secret.content;
  return !authority.soughtIssuers.has(leaf.issuerId) && now < (renewalOf(situation) ?? leaf.notAfter);
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
    signsUntil: signsUntil(authority),
  };
  signers.set(authority, signer);
  return signer;
}

const LONGEST_TIME = 64;

function renewAtOf({ renewAt }: CertificateRecord): Situation['renewAt'] {
  // RFC 3339 takes small letters, too.
  const at = renewAt === undefined ? undefined : parseTime(renewAt.toUpperCase());
  return renewAt === undefined || at === undefined ? undefined : { text: renewAt, at };
}
