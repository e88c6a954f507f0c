/** Restarts what spec.restart names, once the certificate is in the Secret, and says so in the condition Restarted. */
import {
  API_VERSION,
  annotations,
  findCondition,
  iso,
  parseDuration,
  type RestartTarget,
  resourceOfKind,
  restartedForKey,
  setCondition,
  type WorkloadCertificate,
  type WorkloadCertificateStatus,
  workloadCertificateKind,
} from '../api/index.ts';
import {
  type CertificateRecord,
  decodeCertificate,
  issuedAtOf,
  readCertificate,
  type SecretRecord,
  secretKey,
} from '../certificate/index.ts';
import {
  ApiError,
  type Clock,
  type EventRecorder,
  isNotFound,
  isStatus,
  type Log,
  mergePatch,
  messageOf,
  type ReconcileResult,
  resourcePath,
  type Store,
  type Transport,
} from '../kube/index.ts';
import { Begun } from './begun.ts';
import { type BlockedReason, decide, type Present, undone } from './decide.ts';
import type { RestartMetrics } from './metrics.ts';
import { type Finding, problems, type Verdict, verdictOf } from './reasons.ts';
import { Rechecks } from './rechecks.ts';
import type { Entrant, Turns } from './turns.ts';
import { readWorkload, type Workload } from './workload.ts';

export interface RestartWorld {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly certificates: Store<CertificateRecord>;
  readonly secrets: Store<SecretRecord>;
}

export interface RestartDependencies extends RestartWorld {
  readonly turns: Turns;
  readonly metrics: RestartMetrics;
  /** Runs what changes a store by our own doing, so that it is not taken for news. */
  readonly quietly: (change: () => void) => void;
}

const CONDITION = 'Restarted';
/** Answers that another try may change: what was looked at is gone or has changed, or the API server is busy. */
const isPassing = (error: unknown): boolean => isStatus(error, 401, 404, 409, 429);

export function createRestartReconciler(dependencies: RestartDependencies) {
  const { certificates, clock, events, log, metrics, quietly, secrets, transport, turns } = dependencies;
  const rechecks = new Rechecks();
  const begun = new Begun();
  /** What was last asked for, so that it can be withdrawn. */
  const asked = new Map<string, readonly Entrant[]>();
  /** What has failed at the last try of a workload, by certificate. */
  const failing = new Map<string, Map<string, unknown>>();

  return async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = certificates.get(key);
    if (record === undefined || record.deleting) {
      begun.forget(key);
      return forget(key);
    }
    const certificate = readCertificate(record);
    // The certificate's own condition tells of it.
    if ('problem' in certificate) return {};
    const targets = certificate.spec.restart ?? [];
    if (targets.length === 0) {
      await say(record, certificate, undefined, signal);
      return forget(key);
    }
    const present = presentIn(secrets.get(secretKey(record)), record, certificate);
    // Nothing is in place: the certificate's conditions tell why, and the Secret's own event brings it here.
    if (present === undefined || isTold(certificate, present)) return forget(key);
    const entrants = targets.map((target) => entrantOf(record, target));
    withdraw(key, entrants);
    asked.set(key, entrants);
    const findings: Finding[] = [];
    const errors: unknown[] = [];
    for (const target of targets) {
      try {
        const step = await attend(key, record, target, present, signal);
        rethrow(key, target, step);
        findings.push({ target, step });
      } catch (error) {
        if (signal.aborted) throw error;
        // One that fails must not keep the others from their restart.
        errors.push(error);
        remember(key, target, error);
        findings.push({ target, step: { step: 'failed', message: messageOf(error) } });
      }
    }
    const done = findings.every(({ step }) => step.step === 'done');
    // What the next try will mend, in milliseconds mostly, is not worth a status.
    if (errors.length === 0 || !errors.every(isPassing)) {
      await say(record, certificate, { findings, present, done }, signal);
    }
    // The queue tries again, ever more rarely.
    if (errors.length > 0) throw errors[0];
    if (done) return forget(key);
    return { requeueAt: rechecks.next(key, findings, clock.now()) };
  };

  /** Looks at one workload, and restarts it where that is due and its turn. */
  async function attend(
    key: string,
    record: CertificateRecord,
    target: RestartTarget,
    present: Present,
    signal: AbortSignal,
  ): Promise<Finding['step']> {
    const entrant = entrantOf(record, target);
    const path = pathOf(record, target);
    const read = (object: unknown): Workload => readWorkload(target.kind, record.secretName, object);
    const found = await allowed(target, 'get', async () => {
      try {
        return read(await transport.request({ method: 'GET', path, signal }));
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    });
    if (found !== undefined && 'blocked' in found) return leave(entrant, key, found.blocked);
    const attempt = found && begun.get(key, present.serialNumber, found.uid);
    const step = decide(found, present, clock.now(), attempt);
    if (found?.restartedFor === present.serialNumber && attempt !== 'through')
      begun.set(key, present.serialNumber, found.uid, step.step === 'done' ? 'through' : 'begun');
    if (step.step === 'progressing' || step.step === 'wait') {
      turns.occupy(entrant, key);
      return step;
    }
    if (step.step !== 'restart') return leave(entrant, key, step);
    if (found === undefined || !turns.enter(entrant, key)) return { step: 'queued' };
    const body = restartPatch(found, record.secretName, present.serialNumber, iso(clock.now()));
    const patched = await allowed(target, 'patch', async () => {
      const answer = await transport.request({ method: 'PATCH', path, body, signal });
      begun.set(key, present.serialNumber, found.uid, 'begun');
      return read(answer);
    }).catch((error: unknown) => {
      // Others need not wait for the next try. Has it been restarted all the same, the next look finds it under way.
      if (!isPassing(error)) turns.leave(entrant, key);
      throw error;
    });
    if ('blocked' in patched) return leave(entrant, key, patched.blocked);
    // A webhook that takes the mark out again is no reason to try for ever.
    if (patched.restartedFor !== present.serialNumber) return leave(entrant, key, undone);
    metrics.restarts.inc({ kind: target.kind });
    tellRestart(record, target, present);
    return { step: 'progressing' };
  }

  /** One that has failed and waits for another turn has still failed: were it told to be waiting, status would change with each try, and the queue begin anew. */
  function rethrow(key: string, { kind, name }: RestartTarget, { step }: Finding['step']): void {
    const errors = failing.get(key);
    const workload = `${kind}/${name}`;
    if (step === 'queued' && errors?.has(workload) === true) throw errors.get(workload);
    errors?.delete(workload);
  }

  function remember(key: string, { kind, name }: RestartTarget, error: unknown): void {
    if (isPassing(error)) return;
    failing.set(key, (failing.get(key) ?? new Map<string, unknown>()).set(`${kind}/${name}`, error));
  }

  function leave<Of extends Finding['step']>(entrant: Entrant, key: string, step: Of): Of {
    turns.leave(entrant, key);
    return step;
  }

  /** What the API server refuses for good becomes a finding; all else is the queue's. */
  async function allowed<Result extends Workload | undefined>(
    { kind }: RestartTarget,
    verb: 'get' | 'patch',
    call: () => Promise<Result>,
  ): Promise<Result | { readonly blocked: { step: 'blocked'; reason: BlockedReason; message: string } }> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500 || isPassing(error)) throw error;
      const refused = `the API server refuses to ${verb} it: ${messageOf(error)}`;
      // A webhook's or policy's refusal is a 403 as well, and no permission helps against it.
      if (error.status !== 403 || !error.message.includes(`cannot ${verb} resource`))
        return { blocked: { step: 'blocked', reason: 'RestartRefused', message: refused } };
      const message = `${refused}. The operator needs the verbs get and patch on ${resourceOfKind(kind)}: set restart.enabled in its Helm chart`;
      return { blocked: { step: 'blocked', reason: 'RestartForbidden', message } };
    }
  }

  /** Writes what is to be said where it differs from what stands there. */
  async function say(
    record: CertificateRecord,
    certificate: WorkloadCertificate,
    told: { findings: readonly Finding[]; present: Present; done: boolean } | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { status } = certificate;
    const before = findCondition(status.conditions, CONDITION);
    const verdict = told && verdictOf(told.findings, told.present.serialNumber);
    const after = statusWith(certificate, verdict, told, iso(clock.now()));
    const patch = mergePatch(status, after);
    if (patch === undefined) return;
    // Bound to what was looked at: the list of conditions is written whole, and others write into it.
    const metadata = { uid: record.uid, resourceVersion: record.resourceVersion };
    const path = workloadCertificateKind.path(record.namespace, record.name, 'status');
    try {
      const body = { metadata, status: patch };
      const patched = decodeCertificate(await transport.request({ method: 'PATCH', path, body, signal }));
      quietly(() => certificates.observe(patched.key, patched.value));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    if (verdict === undefined || !problems.has(verdict.reason) || verdict.message === before?.message) return;
    const { namespace, name } = record;
    log.warn({ namespace, name, reason: verdict.reason }, verdict.message);
    tell(record, 'Warning', verdict.reason, verdict.message);
  }

  function tellRestart(record: CertificateRecord, { kind, name }: RestartTarget, { serialNumber }: Present): void {
    const { namespace, secretName } = record;
    log.info({ namespace, name: record.name, kind, workload: name, secretName, serialNumber }, 'restarting a workload');
    tell(
      record,
      'Normal',
      'Restarting',
      `Restarting ${kind} "${name}": certificate ${serialNumber} is in Secret "${secretName}"`,
    );
  }

  function tell(record: CertificateRecord, type: 'Normal' | 'Warning', reason: string, note: string): void {
    const { namespace, name, uid, resourceVersion } = record;
    const { kind } = workloadCertificateKind;
    const regarding = { apiVersion: API_VERSION, kind, namespace, name, uid, resourceVersion };
    events.record({ regarding, action: 'Restart', type, reason, note });
  }

  /** Gives back the turns of workloads that are no longer asked for. */
  function withdraw(key: string, entrants: readonly Entrant[]): void {
    for (const before of asked.get(key) ?? []) {
      if (!entrants.some(({ workload }) => workload === before.workload)) turns.leave(before, key);
    }
  }

  function forget(key: string): ReconcileResult {
    withdraw(key, []);
    asked.delete(key);
    failing.delete(key);
    rechecks.forget(key);
    return {};
  }
}

function entrantOf({ namespace }: CertificateRecord, { kind, name }: RestartTarget): Entrant {
  return { namespace, workload: `${kind}/${name}` };
}

function pathOf({ namespace }: CertificateRecord, { kind, name }: RestartTarget): string {
  return resourcePath({ group: 'apps', version: 'v1', plural: resourceOfKind(kind) }, namespace, name);
}

/**
 * The certificate in the Secret; undefined where there is none that is ours, in order, and found to be so by the certificate controller: whoever may write the Secret
 * could put any other pair there, and it is mended before anybody is restarted for it. That it was judged comes as a change of the certificate.
 */
function presentIn(
  secret: SecretRecord | undefined,
  { name }: CertificateRecord,
  { spec, status }: WorkloadCertificate,
): Present | undefined {
  if (secret?.holder !== name || secret.content.state !== 'sound') return undefined;
  const { leaf } = secret.content;
  const { conditions, restartedSerialNumber, serialNumber } = status;
  if (serialNumber !== leaf.serialNumber || findCondition(conditions, 'Ready')?.status !== 'True') return undefined;
  return {
    serialNumber,
    issuedAt: issuedAtOf(leaf, parseDuration(spec.duration)),
    // Told of this very certificate before, it is the first as much as it was then.
    first: secret.revision <= 1 && (restartedSerialNumber ?? serialNumber) === serialNumber,
  };
}

/**
 * Whether it has been said, of the present spec, that all is done: then there is nothing to look at. To the letter: the certificate controller writes the list of
 * conditions whole, bound to no version, and may put back what was said of an earlier certificate. Its write brings the certificate here again.
 */
function isTold({ metadata, status }: WorkloadCertificate, { serialNumber }: Present): boolean {
  const before = findCondition(status.conditions, CONDITION);
  return (
    before?.status === 'True' &&
    before.message === verdictOf([], serialNumber).message &&
    before.observedGeneration === metadata.generation &&
    status.restartedSerialNumber === serialNumber
  );
}

function statusWith(
  { metadata, status }: WorkloadCertificate,
  verdict: Verdict | undefined,
  told: { readonly present: Present; readonly done: boolean } | undefined,
  at: string,
): WorkloadCertificateStatus {
  const { restartedSerialNumber, ...rest } = status;
  if (verdict === undefined) {
    const others = status.conditions?.filter(({ type }) => type !== CONDITION);
    return others === undefined ? rest : { ...rest, conditions: others };
  }
  const next = { type: CONDITION, ...verdict, observedGeneration: metadata.generation };
  const conditions = [...setCondition(status.conditions, next, at)];
  const serialNumber = told?.done === true ? told.present.serialNumber : restartedSerialNumber;
  return { ...rest, conditions, ...(serialNumber === undefined ? {} : { restartedSerialNumber: serialNumber }) };
}

/** As `kubectl rollout restart` does it, bound to what was looked at. */
function restartPatch({ resourceVersion }: Workload, secretName: string, serialNumber: string, at: string): object {
  const marks = { [restartedForKey(secretName)]: serialNumber, [annotations.restartedAt]: at };
  return { metadata: { resourceVersion }, spec: { template: { metadata: { annotations: marks } } } };
}
