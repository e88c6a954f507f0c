/** Tells in status.consumers, and as metrics, which pods run since before their certificate. Nothing else waits for it. */
import type { Consumers, WorkloadCertificateStatus } from '../api/index.ts';
import { issuedAt } from '../authority/index.ts';
import {
  type CertificateRecord,
  type Claims,
  readCertificate,
  type SecretRecord,
  secretKey,
  writeStatus,
} from '../certificate/index.ts';
import {
  type Clock,
  createController,
  DueTimes,
  type Log,
  type Metrics,
  mergePatch,
  type ReconcileResult,
  type Store,
  splitKey,
  TokenBucket,
  type Transport,
  WorkQueue,
} from '../kube/index.ts';
import { consumersOf } from './consumers.ts';
import type { PodRecord } from './pod.ts';
import { UsesIndex } from './usesIndex.ts';

export interface InventoryControllerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly certificates: Store<CertificateRecord>;
  readonly secrets: Store<SecretRecord>;
  readonly pods: Store<PodRecord>;
  readonly claims: Claims;
}

/** A rollout changes the counts with each pod: they are told once in so long (ms). */
const DEBOUNCE = 10_000;
/** For all certificates together: one write in so long (ms), after the first few. */
const PACE = 50;
const BURST = 20;
const LONGEST_RETRY = 60_000;

export class InventoryController {
  readonly #options: InventoryControllerOptions;
  readonly #queue: WorkQueue;
  readonly #bucket: TokenBucket;
  readonly #uses = new UsesIndex();
  /** Those that wait for the debounce. Not the queue's delays: what comes while a certificate is with a worker would be taken back when that is through. */
  readonly #pending: DueTimes;
  #running = false;

  constructor(options: InventoryControllerOptions) {
    const { certificates, claims, clock, metrics, pods, secrets } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'inventory', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#bucket = new TokenBucket(clock, BURST, PACE);
    this.#pending = new DueTimes({ clock, onDue: (key) => this.#queue.add(key), scale: 'monotonic' });
    const wake = (secret: string): void => {
      for (const certificate of claims.ofSecret(secret)) this.#later(certificate);
    };
    pods.subscribe((change) => {
      for (const secret of this.#uses.apply(change)) wake(secret);
    });
    secrets.subscribe(({ key, before, after }) => {
      if (before?.dataDigest !== after?.dataDigest) wake(key);
    });
    certificates.subscribe(({ key, before, after }) => {
      if (after !== undefined && before?.secretName !== after.secretName) this.#later(key);
    });
  }

  /** Works until the signal aborts. @param synced resolves when all pods are known: until then every count would be wrong. */
  async run(signal: AbortSignal, synced: Promise<unknown>): Promise<void> {
    const { certificates, clock, log, metrics } = this.#options;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    if (!signal.aborted) await Promise.race([synced, aborted]);
    if (signal.aborted) return;
    this.#running = true;
    for (const [key, record] of certificates.entries()) {
      if (this.#uses.of(secretKey(record)).size > 0 || record.consumers) this.#queue.add(key);
    }
    const reconcile = (key: string, grace: AbortSignal) => this.#reconcile(key, grace);
    await createController({ name: 'inventory', queue: this.#queue, workers: 2, clock, metrics, log, reconcile }).run(
      signal,
    );
    this.#running = false;
    this.#pending.clear();
  }

  /** The series that exist once per certificate that is used by pods, in Prometheus' text format. */
  *series(): Generator<string> {
    for (const { name, help, value } of families) {
      yield `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`;
      for (const record of this.#used()) {
        const consumers = this.#consumersOf(record);
        if (consumers === undefined) continue;
        yield `${name}{namespace="${record.namespace}",name="${record.name}"} ${value(consumers)}\n`;
      }
    }
  }

  *#used(): Generator<CertificateRecord> {
    const { certificates, claims } = this.#options;
    for (const secret of this.#uses.secrets()) {
      for (const key of claims.ofSecret(secret)) {
        const record = certificates.get(key);
        if (record !== undefined) yield record;
      }
    }
  }

  #later(key: string): void {
    if (this.#running && this.#pending.get(key) === undefined) this.#pending.setAfter(key, DEBOUNCE);
  }

  /** Of the certificate that holds the Secret; one that is in conflict has none. */
  #consumersOf(record: CertificateRecord): Consumers | undefined {
    const { pods, secrets } = this.#options;
    const key = secretKey(record);
    const secret = secrets.get(key);
    if (secret?.holder !== record.name) return undefined;
    const consumers = [...this.#uses.of(key)].flatMap((podKey) => {
      const use = pods.get(podKey)?.uses.find((candidate) => candidate.secret === record.secretName);
      return use === undefined ? [] : [{ pod: splitKey(podKey).name, use }];
    });
    const { content } = secret;
    if (content.state !== 'sound') return consumersOf(consumers, undefined);
    return consumersOf(consumers, issuedAt(new Date(content.leaf.notBefore), new Date(content.leaf.notAfter)));
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { certificates, clock, transport } = this.#options;
    this.#pending.delete(key);
    const record = certificates.get(key);
    if (record === undefined || record.deleting) return {};
    const certificate = readCertificate(record);
    if ('problem' in certificate) return {};
    const { consumers: _, ...rest } = certificate.status;
    const consumers = this.#consumersOf(record);
    const after: WorkloadCertificateStatus = consumers === undefined ? rest : { ...rest, consumers };
    const patch = mergePatch(certificate.status, after);
    if (patch === undefined) return {};
    if (!this.#bucket.take()) return { requeueAt: clock.now() + BURST * PACE };
    const written = await writeStatus(transport, record, patch, signal);
    if (written !== undefined) certificates.observe(written.key, written.value);
    return {};
  }
}

const families: readonly { name: string; help: string; value: (consumers: Consumers) => number }[] = [
  {
    name: 'mtls_operator_pods_using_certificate',
    help: 'Pods with a running container that uses the Secret.',
    value: ({ pods }) => pods,
  },
  {
    name: 'mtls_operator_pods_started_before_renewal',
    help: 'Pods with a container that was started before the certificate in the Secret was issued. They may have read it since.',
    value: ({ startedBeforeRenewal }) => startedBeforeRenewal,
  },
  {
    name: 'mtls_operator_pods_never_updated',
    help: 'Pods with a container that has an older certificate until it is restarted: by subPath, or as environment variables.',
    value: ({ neverUpdated }) => neverUpdated,
  },
];
