/** CertificateAuthority: reads, has the pure parts decide, writes. */
import {
  API_VERSION,
  AUTHORITY_FINALIZER,
  annotations,
  type CertificateAuthority,
  certificateAuthorityKind,
  certificateAuthoritySchema,
  certificateAuthorityStatusSchema,
  findCondition,
  InvalidObjectError,
  iso,
  parseCertificateAuthority,
  setCondition,
} from '../api/index.ts';
import {
  asRecord,
  type Clock,
  type EventRecorder,
  isNotFound,
  isRecord,
  isStatus,
  type Log,
  mergePatch,
  messageOf,
  type ReconcileResult,
  resourcePath,
  SECRETS,
  type Store,
  type Transport,
} from '../kube/index.ts';
import type { BrokenGeneration, Generation } from './generation.ts';
import { GenerationStore } from './generationStore.ts';
import { IssuerSearch, type IssuerSearchOptions } from './issuerSearch.ts';
import { type Plan, planSelfSigned, type SelfSignedSpec } from './lifecycle.ts';
import type { RootInUse } from './lost.ts';
import { type Outcome, providedOutcome, selfSignedOutcome, unreadableView, withNote, wokenAt } from './outcome.ts';
import { readProvided } from './provided.ts';
import { generationsNote, rememberedOf } from './remembered.ts';
import { makeGeneration, selfSignedSpec } from './selfSigned.ts';
import { type AuthorityFindings, authorityStatus, EXPIRING } from './status.ts';
import { type AuthorityRecord, type CaSecretRecord, decodeAuthority, readCaSecret } from './store.ts';
import { findUser } from './users.ts';
import type { AuthorityCatalogue } from './view.ts';

export interface AuthorityDependencies {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly operatorNamespace: string;
  readonly authorities: Store<AuthorityRecord>;
  readonly caSecrets: Store<CaSecretRecord>;
  readonly catalogue: AuthorityCatalogue;
  /** Namespaces that the operator serves. */
  readonly namespaces: readonly string[] | 'all';
  /** Keys of the WorkloadCertificates that ask for the authority, as far as the cache knows them. */
  readonly usersOf: (authority: string) => readonly string[];
  /** The roots in ca.crt of the leaf Secrets that say that the authority has signed them. */
  readonly rootsInUse: (authority: string) => readonly RootInUse[];
  readonly issuersInUse: IssuerSearchOptions['issuersInUse'];
}

/** Root, then issuing CA, then a look at the result; one more for a rival that was faster. */
const MAX_STEPS = 6;
/** A user that the cache does not know may be gone again before the cache hears of it: then nothing tells (ms). */
const UNSEEN_USER_RECHECK = 30_000;

export function createAuthorityReconciler(dependencies: AuthorityDependencies) {
  const { authorities, catalogue, clock, log, usersOf } = dependencies;
  const generations = new GenerationStore(dependencies);
  const issuerSearch = new IssuerSearch(dependencies);
  /** Of authorities whose status the API server refuses, the resourceVersion of which was told. */
  const unwritable = new Map<string, string>();
  /** Authorities whose CA Secrets have been listed since this replica leads. */
  const listedOnce = new Set<string>();

  return async function reconcile(name: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = authorities.get(name);
    if (record === undefined) {
      catalogue.remove(name);
      unwritable.delete(name);
      listedOnce.delete(name);
      return {};
    }
    const metadata = metadataOf(record);
    const users = metadata?.deletionTimestamp === undefined ? [] : await usersNow(metadata, signal);
    if (metadata?.deletionTimestamp !== undefined && users.length === 0) {
      await releaseFinalizer(metadata, signal);
      return {};
    }
    const recheck = users.length > 0 && usersOf(name).length === 0 ? clock.now() + UNSEEN_USER_RECHECK : undefined;
    const authority = parse(record);
    if ('problem' in authority) {
      await unreadable(name, record, authority.problem, signal);
      return { requeueAt: recheck };
    }
    const outcome =
      authority.spec.provided === undefined ? await selfSigned(authority, signal) : await provided(authority, signal);
    catalogue.set(outcome.view);
    const findings = users.length === 0 ? outcome.findings : heldBack(outcome.findings, users);
    try {
      await holdFinalizer(authority, signal);
    } finally {
      await writeStatus(authority, findings, signal);
    }
    const { wakeAt } = wokenAt(recheck, outcome);
    return wakeAt === Number.MAX_SAFE_INTEGER ? {} : { requeueAt: wakeAt };
  };

  /** The cache need not know of all; that it knows of none is asked of the API server, since what it decides is not undone. */
  async function usersNow(
    { finalizers, name }: CertificateAuthority['metadata'],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const cached = usersOf(name);
    if (cached.length > 0 || !finalizers.includes(AUTHORITY_FINALIZER)) return cached;
    const unseen = await findUser(dependencies, name, signal);
    return unseen === undefined ? [] : [unseen];
  }

  /** It stays readable where the spec is not. */
  function metadataOf({ object }: AuthorityRecord): CertificateAuthority['metadata'] | undefined {
    return certificateAuthoritySchema.shape.metadata.safeParse(asRecord(object)['metadata']).data;
  }

  function parse({ object }: AuthorityRecord): CertificateAuthority | { readonly problem: string } {
    try {
      return parseCertificateAuthority(object);
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      return { problem: error.message };
    }
  }

  /**
   * The API server refuses such objects today; this one was stored under an older schema. What it did so far it goes on doing; after a restart
   * its certificates hear of it.
   */
  async function unreadable(
    name: string,
    { object, resourceVersion }: AuthorityRecord,
    problem: string,
    signal: AbortSignal,
  ) {
    const view = catalogue.get(name);
    if (view === undefined || view.unreadable !== undefined) catalogue.set(unreadableView(name, problem));
    const { metadata, status } = asRecord(object);
    const { uid, generation } = asRecord(metadata);
    // Nothing else of the status is written, so nothing else has to be readable.
    const before = certificateAuthorityStatusSchema.shape.conditions.safeParse(
      isRecord(status) ? status['conditions'] : undefined,
    ).data;
    const message = `${problem}. Certificates that have been issued stay as they are; correct the spec, so that they are renewed`;
    const observedGeneration = typeof generation === 'number' ? generation : 0;
    const verdict = { type: 'Ready', status: 'False', reason: 'SpecInvalid', message, observedGeneration } as const;
    const conditions = setCondition(before, verdict, iso(clock.now()));
    if (conditions === before || unwritable.get(name) === resourceVersion) return;
    log.error({ authority: name, reason: verdict.reason }, message);
    warn({ metadata: { name, uid: String(uid) } }, verdict);
    try {
      await patchStatus(name, { conditions, observedGeneration, phase: 'Unavailable' }, signal);
    } catch (error) {
      // Where a field is not even of the right type, the API server refuses any status. The event has told of it, and only an edit helps.
      if (!isStatus(error, 422)) throw error;
      unwritable.set(name, resourceVersion);
    }
  }

  // ---- a CA of our own making

  async function selfSigned(authority: CertificateAuthority, signal: AbortSignal): Promise<Outcome> {
    const spec = selfSignedSpec(authority.spec);
    if (spec === undefined) throw new Error('neither selfSigned nor provided: the schema refuses that');
    const { name } = authority.metadata;
    for (let steps = 0; steps < MAX_STEPS; steps += 1) {
      const plan = await planFor(authority, spec, signal);
      // A CA that has its Secret signs, whatever becomes of the writes below.
      if (plan.issuing !== undefined) catalogue.set(selfSignedOutcome(authority, plan).view);
      const { step } = plan;
      if (step.step === 'None') {
        const { note, wakeAt } = await generations.retire(name, plan, signal);
        return wokenAt(wakeAt, selfSignedOutcome(authority, withNote(plan, note)));
      }
      const make = () => makeGeneration(authority, spec, step, dependencies.operatorNamespace, clock.now());
      const role = step.step === 'CreateRoot' ? 'Root' : 'Issuing';
      const unmade = await generations.make(name, role, step.number, referenceTo(authority), make, signal);
      if (unmade !== undefined) return wokenAt(unmade.retryAt, selfSignedOutcome(authority, plan, unmade));
    }
    throw new Error(`CertificateAuthority "${name}" has not settled after ${MAX_STEPS} steps`);
  }

  /**
   * From the cache where nothing is to be made and nothing is missed, else from what the API server has at this moment. So is the first look:
   * the watch of a replica that has just begun to lead may hang on an API server that is dead, and miss what the last leader has made.
   */
  async function planFor(authority: CertificateAuthority, spec: SelfSignedSpec, signal: AbortSignal): Promise<Plan> {
    const { name } = authority.metadata;
    const planWith = async (found: (Generation | BrokenGeneration)[]): Promise<Plan> => {
      const { certificates, sought } = await issuerSearch.search(name, found, signal);
      const remembered = rememberedOf(authority, dependencies.rootsInUse(name), certificates);
      return planSelfSigned(spec, found, { ...remembered, soughtIssuers: sought }, clock.now());
    };
    if (listedOnce.has(name)) {
      const plan = await planWith(generations.cached(name));
      if (plan.step.step === 'None' && plan.lost.length === 0) return plan;
    }
    const listed = await generations.listed(name, signal);
    listedOnce.add(name);
    return await planWith(listed);
  }

  // ---- a CA that was brought along

  async function provided(authority: CertificateAuthority, signal: AbortSignal): Promise<Outcome> {
    const secretName = authority.spec.provided?.secretName ?? '';
    const data = await readData(secretName, signal);
    const now = clock.now();
    return providedOutcome(authority, readProvided(secretName, data, now), now);
  }

  async function readData(
    secretName: string,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>> | undefined> {
    try {
      const path = resourcePath(SECRETS, dependencies.operatorNamespace, secretName);
      return readCaSecret(await dependencies.transport.request({ method: 'GET', path, signal })).data;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  // ---- the object itself

  async function holdFinalizer({ metadata }: CertificateAuthority, signal: AbortSignal): Promise<void> {
    if (metadata.finalizers.includes(AUTHORITY_FINALIZER) || metadata.deletionTimestamp !== undefined) return;
    await patchFinalizers(metadata, [...metadata.finalizers, AUTHORITY_FINALIZER], signal);
  }

  async function releaseFinalizer(metadata: CertificateAuthority['metadata'], signal: AbortSignal): Promise<void> {
    if (!metadata.finalizers.includes(AUTHORITY_FINALIZER)) return;
    const others = metadata.finalizers.filter((finalizer) => finalizer !== AUTHORITY_FINALIZER);
    await patchFinalizers(metadata, others, signal);
    log.info({ authority: metadata.name }, 'nobody asks for this authority any more; its CA Secrets are kept');
  }

  /** Bound to the resourceVersion: finalizers are a shared list, and a blind patch would drop another controller's. */
  async function patchFinalizers(
    metadata: CertificateAuthority['metadata'],
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const body = { metadata: { finalizers, resourceVersion: metadata.resourceVersion } };
    const path = certificateAuthorityKind.path(undefined, metadata.name);
    const patched = decodeAuthority(await dependencies.transport.request({ method: 'PATCH', path, body, signal }));
    authorities.observe(patched.key, patched.value);
  }

  async function writeStatus(
    authority: CertificateAuthority,
    findings: AuthorityFindings,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = authority.metadata;
    const status = authorityStatus(authority, findings, iso(clock.now()));
    await keepNote(authority, generationsNote(status.generations), signal);
    const patch = mergePatch(authority.status, status);
    if (patch === undefined) return;
    warnOfChange(authority, findings);
    await patchStatus(name, patch, signal);
  }

  /** Before the status: what stands there must never be remembered by status alone. */
  async function keepNote({ metadata }: CertificateAuthority, note: string, signal: AbortSignal): Promise<void> {
    if ((metadata.annotations[annotations.generations] ?? '') === note) return;
    const body = { metadata: { annotations: { [annotations.generations]: note === '' ? null : note } } };
    await patchAuthority(certificateAuthorityKind.path(undefined, metadata.name), body, signal);
  }

  async function patchStatus(name: string, patch: Readonly<Record<string, unknown>>, signal: AbortSignal) {
    await patchAuthority(certificateAuthorityKind.path(undefined, name, 'status'), { status: patch }, signal);
  }

  async function patchAuthority(path: string, body: Readonly<Record<string, unknown>>, signal: AbortSignal) {
    try {
      const patched = decodeAuthority(await dependencies.transport.request({ method: 'PATCH', path, body, signal }));
      authorities.observe(patched.key, patched.value);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      log.debug({ path, error: messageOf(error) }, 'the authority is gone');
    }
  }

  /** One event when something begins to be wrong, or wrong for another reason. */
  function warnOfChange(authority: CertificateAuthority, { ready, ending }: AuthorityFindings): void {
    const { conditions } = authority.status;
    const before = findCondition(conditions, 'Ready');
    if (ready.status === 'False' && (before?.status !== 'False' || before.reason !== ready.reason)) {
      log.error({ authority: authority.metadata.name, reason: ready.reason }, ready.message);
      warn(authority, ready);
    }
    if (ending !== undefined && findCondition(conditions, EXPIRING)?.reason !== ending.reason) {
      log.warn({ authority: authority.metadata.name, reason: ending.reason }, ending.message);
      warn(authority, ending);
    }
  }

  function warn(
    authority: Parameters<typeof referenceTo>[0],
    { reason, message }: { reason: string; message: string },
  ): void {
    const regarding = referenceTo(authority);
    dependencies.events.record({ regarding, type: 'Warning', reason, action: 'Reconcile', note: message });
  }
}

function heldBack(findings: AuthorityFindings, users: readonly string[]): AuthorityFindings {
  const some = users.slice(0, 5).join(', ');
  const message = `${findings.ready.message}. Deletion waits for ${users.length} WorkloadCertificates that ask for it: ${some}${users.length > 5 ? ', …' : ''}`;
  return { ...findings, ready: { ...findings.ready, message } };
}

function referenceTo({ metadata }: { readonly metadata: { readonly name: string; readonly uid: string } }) {
  return {
    apiVersion: API_VERSION,
    kind: certificateAuthorityKind.kind,
    name: metadata.name,
    uid: metadata.uid,
  };
}
