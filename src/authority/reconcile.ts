/** CertificateAuthority: reads, has the pure parts decide, writes. */
import {
  API_VERSION,
  AUTHORITY_FINALIZER,
  annotations,
  type CertificateAuthority,
  certificateAuthorityKind,
  InvalidObjectError,
  parseCertificateAuthority,
} from '../api/index.ts';
import {
  type Clock,
  type EventRecorder,
  isAlreadyExists,
  isNotFound,
  type Log,
  mergePatch,
  messageOf,
  type ReconcileResult,
  resourcePath,
  type Store,
  type Transport,
} from '../kube/index.ts';
import { type BrokenGeneration, type Generation, generationOwner, generationSecretName } from './generation.ts';
import { type Plan, planSelfSigned } from './lifecycle.ts';
import { type Outcome, providedOutcome, selfSignedOutcome } from './outcome.ts';
import { readProvided } from './provided.ts';
import { rememberedOf } from './remembered.ts';
import { makeGeneration, selfSignedSpec } from './selfSigned.ts';
import { type AuthorityFindings, authorityStatus } from './status.ts';
import { type AuthorityRecord, type CaSecretRecord, decodeAuthority, decodeCaSecret, readCaSecret } from './store.ts';
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
  /** Keys of the WorkloadCertificates that ask for the authority. */
  readonly usersOf: (authority: string) => readonly string[];
  /** Fingerprints of the roots in ca.crt of the leaf Secrets that the authority has signed. */
  readonly rootsInUse: (authority: string) => readonly string[];
}

const SECRETS = { group: '', version: 'v1', plural: 'secrets' } as const;
/** Root, then issuing CA, then a look at the result; one more for a rival that was faster. */
const MAX_STEPS = 6;

export function createAuthorityReconciler(dependencies: AuthorityDependencies) {
  const { authorities, catalogue, clock, log, usersOf } = dependencies;

  return async function reconcile(name: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = authorities.get(name);
    if (record === undefined) {
      catalogue.remove(name);
      return {};
    }
    const authority = parse(record, name);
    if (authority === undefined) return {};
    if (authority.metadata.deletionTimestamp !== undefined && usersOf(name).length === 0) {
      await releaseFinalizer(authority, signal);
      return {};
    }
    await holdFinalizer(authority, signal);
    const outcome =
      authority.spec.provided === undefined ? await selfSigned(authority, signal) : await provided(authority, signal);
    catalogue.set(outcome.view);
    await writeStatus(authority, outcome.findings, signal);
    return outcome.wakeAt === Number.MAX_SAFE_INTEGER ? {} : { requeueAt: outcome.wakeAt };
  };

  function parse(record: AuthorityRecord, name: string): CertificateAuthority | undefined {
    try {
      return parseCertificateAuthority(record.object);
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      // The API server refuses such objects today; this one was stored under an older schema. What it did so far, it goes on doing.
      log.error(
        { authority: name, error: error.message },
        'this CertificateAuthority cannot be read: correct its spec',
      );
      return undefined;
    }
  }

  // ---- a CA of our own making

  async function selfSigned(authority: CertificateAuthority, signal: AbortSignal): Promise<Outcome> {
    const spec = selfSignedSpec(authority.spec);
    if (spec === undefined) throw new Error('neither selfSigned nor provided: the schema refuses that');
    const { name } = authority.metadata;
    const remembered = rememberedOf(authority, dependencies.rootsInUse(name));
    for (let steps = 0; steps < MAX_STEPS; steps += 1) {
      const plan = planSelfSigned(spec, generationsOf(name), remembered, clock.now());
      if (plan.step.step === 'None') {
        await retire(name, plan, signal);
        return selfSignedOutcome(authority, plan);
      }
      const made = await makeGeneration(authority, spec, plan.step, dependencies.operatorNamespace, clock.now());
      const taken = await postGeneration(authority, made, plan.step.number, signal);
      if (taken !== undefined)
        return selfSignedOutcome(authority, { ...plan, problem: { reason: 'GenerationBroken', message: taken } });
    }
    throw new Error(`CertificateAuthority "${name}" has not settled after ${MAX_STEPS} steps`);
  }

  function generationsOf(name: string): (Generation | BrokenGeneration)[] {
    return [...dependencies.caSecrets.values()].flatMap(({ generation }) =>
      generation?.authority === name ? [generation] : [],
    );
  }

  /** @returns what is wrong where the name is taken by something that is no generation of this authority. */
  async function postGeneration(
    authority: CertificateAuthority,
    made: Awaited<ReturnType<typeof makeGeneration>>,
    number: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { operatorNamespace, transport, caSecrets, events } = dependencies;
    const secretName = generationSecretName(authority.metadata.name, made.role, number);
    const fields = {
      authority: authority.metadata.name,
      role: made.role,
      secretName,
      fingerprint: made.certificate.fingerprint,
    };
    try {
      const created = await transport.request({
        method: 'POST',
        path: resourcePath(SECRETS, operatorNamespace),
        body: made.secret,
        signal,
      });
      const { key, value } = decodeCaSecret(created);
      caSecrets.observe(key, value);
      log.info({ ...fields, notAfter: made.certificate.notAfter.toISOString() }, 'made a CA');
      const note = `Made the ${made.role.toLowerCase()} CA in Secret ${operatorNamespace}/${secretName}, valid until ${made.certificate.notAfter.toISOString()}`;
      events.record({
        regarding: referenceTo(authority),
        type: 'Normal',
        reason: `${made.role}Created`,
        action: 'CreateGeneration',
        note,
      });
      return undefined;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const path = resourcePath(SECRETS, operatorNamespace, secretName);
      const found = await transport.request({ method: 'GET', path, signal });
      if (generationOwner(readCaSecret(found)) !== authority.metadata.name) {
        return `Secret "${secretName}" in the operator’s namespace is in the way and no generation of this authority: rename or delete it`;
      }
      const { key, value } = decodeCaSecret(found);
      caSecrets.observe(key, value);
      return undefined;
    }
  }

  /** Marks superseded issuing CAs, and removes those of which no certificate can be alive: an unused CA key is only a liability. */
  async function retire(authority: string, plan: Plan, signal: AbortSignal): Promise<void> {
    const { transport, operatorNamespace, caSecrets } = dependencies;
    for (const old of plan.trustedIssuing) {
      if (old === plan.issuing || old.phase !== 'Active' || plan.issuing === undefined) continue;
      const path = resourcePath(SECRETS, operatorNamespace, old.secretName);
      const body = { metadata: { annotations: { [annotations.phase]: 'Retired' } } };
      const { key, value } = decodeCaSecret(await transport.request({ method: 'PATCH', path, body, signal }));
      caSecrets.observe(key, value);
    }
    for (const old of plan.expired) {
      const key = `${operatorNamespace}/${old.secretName}`;
      const record = caSecrets.get(key);
      if (record === undefined) continue;
      try {
        const body = {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          preconditions: { uid: record.uid, resourceVersion: record.resourceVersion },
        };
        await transport.request({
          method: 'DELETE',
          path: resourcePath(SECRETS, operatorNamespace, old.secretName),
          body,
          signal,
        });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      caSecrets.observeDeleted(key);
      log.info(
        { authority, secretName: old.secretName, fingerprint: old.certificate.fingerprint },
        'removed an expired issuing CA',
      );
    }
  }

  // ---- a CA that was brought along

  async function provided(authority: CertificateAuthority, signal: AbortSignal): Promise<Outcome> {
    const secretName = authority.spec.provided?.secretName ?? '';
    return providedOutcome(authority, readProvided(secretName, await readData(secretName, signal), clock.now()));
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

  async function releaseFinalizer({ metadata }: CertificateAuthority, signal: AbortSignal): Promise<void> {
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
    found: AuthorityFindings,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = authority.metadata;
    const findings = authority.metadata.deletionTimestamp === undefined ? found : heldBack(found, usersOf(name));
    const status = authorityStatus(authority, findings, new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'));
    const patch = mergePatch(authority.status, status);
    if (patch === undefined) return;
    warnOfChange(authority, findings);
    const path = certificateAuthorityKind.path(undefined, name, 'status');
    try {
      const patched = decodeAuthority(
        await dependencies.transport.request({ method: 'PATCH', path, body: { status: patch }, signal }),
      );
      authorities.observe(patched.key, patched.value);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      log.debug({ authority: name, error: messageOf(error) }, 'the authority is gone');
    }
  }

  function warnOfChange(authority: CertificateAuthority, { ready }: AuthorityFindings): void {
    const before = authority.status.conditions?.find(({ type }) => type === 'Ready');
    if (ready.status === 'True' || (before?.status === ready.status && before.reason === ready.reason)) return;
    log.error({ authority: authority.metadata.name, reason: ready.reason }, ready.message);
    dependencies.events.record({
      regarding: referenceTo(authority),
      type: 'Warning',
      reason: ready.reason,
      action: 'Reconcile',
      note: ready.message,
    });
  }
}

function heldBack(findings: AuthorityFindings, users: readonly string[]): AuthorityFindings {
  const some = users.slice(0, 5).join(', ');
  const message = `${findings.ready.message}. Deletion waits for ${users.length} WorkloadCertificates that ask for it: ${some}${users.length > 5 ? ', …' : ''}`;
  return { ...findings, ready: { ...findings.ready, message } };
}

function referenceTo({ metadata }: CertificateAuthority) {
  return {
    apiVersion: API_VERSION,
    kind: certificateAuthorityKind.kind,
    name: metadata.name,
    uid: metadata.uid,
  };
}
