/** The identity controller: what wakes it. Pods wait for what it makes, so that nothing is put off. */
import type { CertificateRecord } from '../certificate/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import {
  type Change,
  type Clock,
  createController,
  type EventRecorder,
  type Log,
  type Metrics,
  type Store,
  type Transport,
  WorkQueue,
} from '../kube/index.ts';
import { createIdentityReconciler } from './reconcile.ts';
import { certificateKey, SidecarAccounts } from './sidecarAccounts.ts';
import { Teller } from './tell.ts';
import { Unused } from './unused.ts';
import type { WantedCertificate } from './wanted.ts';

export interface IdentityControllerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: EventRecorder;
  readonly certificates: Store<CertificateRecord>;
  readonly pods: Store<PodRecord>;
  /** Whether a namespace is on its way out. */
  readonly isTerminating: (namespace: string) => boolean;
  /** Certificates that are kept whatever pods there are. */
  readonly always: readonly WantedCertificate[];
  /** How long (ms) a certificate is kept that no pod needs. */
  readonly retention: number;
}

const LONGEST_RETRY = 30_000;
const WORKERS = 8;

export class IdentityController {
  readonly #options: IdentityControllerOptions;
  readonly #queue: WorkQueue;
  readonly #accounts = new SidecarAccounts();
  readonly #always: ReadonlyMap<string, WantedCertificate>;
  readonly #unused: Unused;
  #running = false;
  #podsKnown = false;

  constructor(options: IdentityControllerOptions) {
    const { always, certificates, clock, metrics, pods } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'identity', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#always = new Map(always.map((wanted) => [certificateKey(wanted), wanted]));
    this.#unused = new Unused(clock, (key) => this.#wake(key));
    pods.subscribe((change) => {
      for (const key of this.#accounts.apply(change)) this.#wake(key);
    });
    certificates.subscribe((change) => this.#certificateChanged(change));
  }

  /**
   * Works until the signal aborts. Certificates are known before this is called.
   * @param podsSynced resolves when all pods are known: until then certificates are made for those that are, and none is removed.
   */
  async run(signal: AbortSignal, podsSynced: Promise<unknown>): Promise<void> {
    const { clock, events, log, metrics, retention } = this.#options;
    this.#running = true;
    for (const key of [...this.#always.keys(), ...this.#accounts.keys()]) this.#queue.add(key);
    void podsSynced.then(() => {
      this.#podsKnown = true;
      for (const [key, { managed }] of this.#options.certificates.entries()) if (managed) this.#wake(key);
    });
    const reconcile = createIdentityReconciler({
      ...this.#options,
      neededAs: (key) => this.#always.get(key) ?? this.#accounts.get(key),
      podsKnown: () => this.#podsKnown,
      unused: this.#unused,
      retention,
      teller: new Teller({ events, log }),
    });
    await createController({
      name: 'identity',
      queue: this.#queue,
      workers: WORKERS,
      clock,
      metrics,
      log,
      reconcile,
    }).run(signal);
    this.#running = false;
    this.#unused.clear();
  }

  #certificateChanged({ key, before, after }: Change<CertificateRecord>): void {
    const needed = this.#always.has(key) || this.#accounts.get(key) !== undefined;
    if (!needed && before?.managed !== true && after?.managed !== true) return;
    // Most changes are of status.
    const same =
      before !== undefined &&
      before.uid === after?.uid &&
      before.generation === after.generation &&
      before.managed === after.managed &&
      before.deleting === after.deleting;
    if (!same) this.#wake(key);
  }

  #wake(key: string): void {
    if (this.#running) this.#queue.add(key);
  }
}
