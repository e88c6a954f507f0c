/** Makes, puts right and removes one WorkloadCertificate of the mesh. */
import { API_VERSION, labels, managers, workloadCertificateKind } from '../api/index.ts';
import { type CertificateRecord, decodeCertificate, readCertificate } from '../certificate/index.ts';
import {
  type Clock,
  isAlreadyExists,
  isNotFound,
  isStatus,
  type ReconcileResult,
  type Store,
  TokenBucket,
  type Transport,
} from '../kube/index.ts';
import { decide, type Existing, type Use } from './decide.ts';
import { hasSidecarPod } from './livePods.ts';
import type { Teller } from './tell.ts';
import type { Unused } from './unused.ts';
import { sidecarCertificate, type WantedCertificate } from './wanted.ts';

export interface IdentityDependencies {
  readonly transport: Pick<Transport, 'request'>;
  readonly clock: Clock;
  readonly certificates: Store<CertificateRecord>;
  /** Whether a namespace is on its way out: nothing can be made in it any more. */
  readonly isTerminating: (namespace: string) => boolean;
  /** What is needed now, by the key of the certificate. */
  readonly neededAs: (key: string) => WantedCertificate | undefined;
  /** Whether all pods are known. */
  readonly podsKnown: () => boolean;
  readonly unused: Unused;
  /** How long (ms) a certificate is kept that no pod needs. */
  readonly retention: number;
  readonly teller: Teller;
}

/** An edit by hand is put right at once, and so are a second and a third; a program that insists is answered once in so long (ms). */
const CORRECTIONS_AT_ONCE = 3;
const CORRECTION_PACE = 60_000;

export function createIdentityReconciler(dependencies: IdentityDependencies) {
  const { certificates, clock, isTerminating, neededAs, podsKnown, retention, teller, transport, unused } =
    dependencies;
  const corrections = new Map<string, TokenBucket>();

  return async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = certificates.get(key);
    const existing = record && existingOf(record);
    const needed = neededAs(key);
    const wanted = needed ?? formerlyWanted(record, existing);
    if (record === undefined || needed !== undefined) unused.forget(key);
    if (wanted === undefined) {
      teller.settled(key);
      return {};
    }
    const decision = decide(wanted, existing, useOf(key, needed), retention);
    if (decision.action !== 'complain') teller.settled(key);
    switch (decision.action) {
      case 'nothing':
        return {};
      case 'create':
        return await create(wanted, signal);
      case 'correct':
        return record === undefined ? {} : await correct(key, record, wanted, signal);
      case 'wait':
        unused.lookAgainAfter(key, decision.milliseconds);
        return {};
      case 'reap':
        return record === undefined ? {} : await reap(key, record, wanted, signal);
      case 'complain':
        if (record !== undefined) teller.taken(record, wanted, decision.problem);
        return {};
    }
  };

  function useOf(key: string, needed: WantedCertificate | undefined): Use {
    if (needed !== undefined) return { state: 'used' };
    if (!podsKnown()) return { state: 'unknown' };
    return { state: 'unused', milliseconds: unused.milliseconds(key) };
  }

  async function create(wanted: WantedCertificate, signal: AbortSignal): Promise<ReconcileResult> {
    const { name, namespace, written } = wanted;
    if (isTerminating(namespace)) return {};
    const { kind } = workloadCertificateKind;
    const metadata = { namespace, name, labels: { [labels.managedBy]: managers.operator } };
    const body = { apiVersion: API_VERSION, kind, metadata, spec: written };
    const path = workloadCertificateKind.path(namespace);
    try {
      observe(await transport.request({ method: 'POST', path, body, signal }));
      teller.made(wanted);
      return {};
    } catch (error) {
      // Its pods are being removed with it.
      if (isEndOfNamespace(error, namespace)) return {};
      // Our cache is behind: what is there is judged as soon as it is known.
      if (isAlreadyExists(error)) return await look(wanted, signal);
      if (isStatus(error, 400, 403, 422)) teller.notMade(wanted, error);
      throw error;
    }
  }

  async function look({ name, namespace }: WantedCertificate, signal: AbortSignal): Promise<ReconcileResult> {
    try {
      observe(await transport.request({ method: 'GET', path: workloadCertificateKind.path(namespace, name), signal }));
      return {};
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return { requeueAt: clock.now() };
    }
  }

  async function correct(
    key: string,
    record: CertificateRecord,
    { written }: WantedCertificate,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    const { name, namespace, resourceVersion, uid } = record;
    if (!mayCorrect(key)) return { requeueAt: clock.now() + CORRECTION_PACE };
    // The whole spec, so that nothing of what was added stays; and bound to what was looked at, which answers 409.
    const body = [
      { op: 'replace', path: '/metadata/uid', value: uid },
      { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'replace', path: '/spec', value: written },
    ];
    const path = workloadCertificateKind.path(namespace, name);
    const contentType = 'application/json-patch+json';
    try {
      observe(await transport.request({ method: 'PATCH', path, body, contentType, signal }));
      teller.corrected(record);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return {};
  }

  /** Full buckets remember nothing. */
  function mayCorrect(key: string): boolean {
    for (const [other, bucket] of corrections) if (bucket.full) corrections.delete(other);
    const bucket = corrections.get(key) ?? new TokenBucket(clock, CORRECTIONS_AT_ONCE, CORRECTION_PACE);
    corrections.set(key, bucket);
    return bucket.take();
  }

  async function reap(
    key: string,
    record: CertificateRecord,
    wanted: WantedCertificate,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    if (await hasSidecarPod(transport, wanted, signal)) {
      // The watch will tell of it.
      unused.forget(key);
      unused.lookAgainAfter(key, retention);
      return {};
    }
    const { name, namespace, resourceVersion, uid } = record;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
    try {
      await transport.request({
        method: 'DELETE',
        path: workloadCertificateKind.path(namespace, name),
        body,
        signal,
      });
      teller.reaped(record);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return {};
  }

  /** Not quietly: whoever issues has to hear of it at once, since pods wait. */
  function observe(object: unknown): void {
    const { key, value } = decodeCertificate(object);
    certificates.observe(key, value);
  }
}

function existingOf(record: CertificateRecord): Existing {
  const read = readCertificate(record);
  const { deleting, managed } = record;
  return { managed, deleting, spec: 'problem' in read ? undefined : read.spec };
}

/** What we would write for an account that no pod needs, if this is what we called it. */
function formerlyWanted(
  record: CertificateRecord | undefined,
  existing: Existing | undefined,
): WantedCertificate | undefined {
  const account = existing?.spec?.serviceAccountName;
  if (record === undefined || existing?.managed !== true || account === undefined) return undefined;
  const wanted = sidecarCertificate(record.namespace, account);
  return wanted.name === record.name ? wanted : undefined;
}

/** It is being removed, or gone. A kind that is not served is a 404, too. */
function isEndOfNamespace(error: unknown, namespace: string): boolean {
  if (isStatus(error, 403)) return error.causes.some(({ reason }) => reason === 'NamespaceTerminating');
  return isNotFound(error) && error.about === `namespaces/${namespace}`;
}
