import { createController, type Metrics, messageOf, OwnChanges, WorkQueue } from '../kube/index.ts';
import { Claims, secretKey } from './claims.ts';
import { KeyMaker } from './keys.ts';
import { Memory } from './memory.ts';
import { type CertificateTimes, createCertificateMetrics } from './metrics.ts';
import { Pacer } from './pacer.ts';
import { type CertificateWorld, createCertificateReconciler } from './reconcile.ts';

export interface CertificateControllerOptions extends CertificateWorld {
  readonly metrics: Metrics;
  readonly workers: number;
}

/** No longer than this (ms) between two tries while the API server does not answer. */
const LONGEST_RETRY = 30_000;

export class CertificateController {
  readonly claims = new Claims();
  readonly #own = new OwnChanges();
  readonly #options: CertificateControllerOptions;
  readonly #queue: WorkQueue;
  readonly #pacer: Pacer;
  readonly #reconcile: (key: string, signal: AbortSignal) => Promise<{ requeueAt?: number | undefined }>;
  /** Keys that have not been looked at since the start: the pacer opens when there are none. */
  #unseen: Set<string> | undefined;

  constructor(options: CertificateControllerOptions) {
    const { certificates, secrets, catalogue, clock, log, metrics } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'certificate', clock, metrics, maxDelayMs: LONGEST_RETRY });
    const add = (key: string): void => this.#queue.add(key);
    this.#pacer = new Pacer(add, clock);
    this.#reconcile = createCertificateReconciler({
      ...options,
      metrics: createCertificateMetrics(metrics.registry, { waiting: () => this.#pacer.waiting }),
      claims: this.claims,
      pacer: this.#pacer,
      memory: new Memory(),
      keys: new KeyMaker(add, (key, error) => {
        log.error({ key, error: messageOf(error) }, 'a key could not be made');
        this.#queue.addRateLimited(key);
      }),
      quietly: this.#own.quietly,
    });
    certificates.subscribe((change) => {
      this.claims.apply(change);
      if (this.#own.underWay) return;
      add(change.key);
      // Whoever waits for the Secret that this one has given up may have it now.
      const { before, after } = change;
      if (before !== undefined && before.secretName !== after?.secretName)
        this.#wake(this.claims.ofSecret(secretKey(before)));
    });
    secrets.subscribe(({ key }) => {
      if (!this.#own.underWay) this.#wake(this.claims.ofSecret(key));
    });
    catalogue.subscribe((authority) => this.#wake(this.claims.ofAuthority(authority)));
  }

  /** The namespace's labels have changed, and with them the rules that are for it. */
  namespaceChanged(namespace: string): void {
    const prefix = `${namespace}/`;
    for (const key of this.#options.certificates.keys()) if (key.startsWith(prefix)) this.#queue.add(key);
  }

  /** The clock has jumped: what was to be looked at later may be due, or be looked at too late. */
  wakeAll(): void {
    for (const key of this.#options.certificates.keys()) this.#queue.add(key);
  }

  /** Works until the signal aborts. Caches are synced and authorities have been looked at before this is called. */
  async run(signal: AbortSignal): Promise<void> {
    const { certificates, clock, log, metrics, workers } = this.#options;
    this.#unseen = new Set(certificates.keys());
    const started = clock.monotonic();
    const count = this.#unseen.size;
    const seen = (key: string): void => {
      this.#unseen?.delete(key);
      if (this.#unseen?.size !== 0) return;
      this.#unseen = undefined;
      log.info(
        { certificates: count, due: this.#pacer.waiting, milliseconds: Math.round(clock.monotonic() - started) },
        'judged every certificate',
      );
      this.#pacer.open();
    };
    for (const key of this.#unseen) this.#queue.add(key);
    if (count === 0) seen('');
    const controller = createController({
      name: 'certificate',
      queue: this.#queue,
      workers,
      clock,
      metrics,
      log,
      reconcile: async (key, grace) => {
        try {
          return await this.#reconcile(key, grace);
        } finally {
          seen(key);
        }
      },
    });
    await controller.run(signal);
    this.#pacer.stop();
  }

  *times(): Generator<CertificateTimes> {
    const { certificates, secrets } = this.#options;
    for (const record of certificates.values()) {
      const content = secrets.get(secretKey(record))?.content;
      yield {
        namespace: record.namespace,
        name: record.name,
        notAfter: content?.state === 'sound' ? content.leaf.notAfter : undefined,
        renewalTime: record.renewalTime,
        ready: record.ready,
      };
    }
  }

  #wake(keys: readonly string[]): void {
    for (const key of keys) this.#queue.add(key);
  }
}
