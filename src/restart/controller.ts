/** The restart controller: what wakes it, and when the first workload may be restarted. */
import type { Claims } from '../certificate/index.ts';
import { createController, type Metrics, OwnChanges, WorkQueue } from '../kube/index.ts';
import { createRestartMetrics } from './metrics.ts';
import { createRestartReconciler, type RestartWorld } from './reconcile.ts';
import { Turns } from './turns.ts';

export interface RestartControllerOptions extends RestartWorld {
  readonly metrics: Metrics;
  readonly claims: Claims;
  /** Restarts under way at once. */
  readonly limit: number;
}

/** No longer than this (ms) between two tries while the API server does not answer. */
const LONGEST_RETRY = 30_000;
/** Restarts are few and slow: they must not take connections from certificates. */
const WORKERS = 4;

export class RestartController {
  readonly #own = new OwnChanges();
  readonly #options: RestartControllerOptions;
  readonly #queue: WorkQueue;
  readonly #turns: Turns;

  constructor(options: RestartControllerOptions) {
    const { certificates, claims, clock, limit, metrics, secrets } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'restart', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#turns = new Turns({
      clock,
      limit,
      onTurn: (certificates) => {
        for (const certificate of certificates) this.#queue.add(certificate);
      },
    });
    certificates.subscribe(({ key, before, after }) => {
      if (!this.#own.underWay && (before?.restarts === true || after?.restarts === true)) this.#queue.add(key);
    });
    secrets.subscribe(({ key }) => {
      for (const certificate of claims.ofSecret(key)) {
        if (certificates.get(certificate)?.restarts === true) this.#queue.add(certificate);
      }
    });
  }

  /** Works until the signal aborts. Caches are synced before this is called. */
  async run(signal: AbortSignal): Promise<void> {
    const { certificates, clock, log, metrics } = this.#options;
    const reconcile = createRestartReconciler({
      ...this.#options,
      turns: this.#turns,
      metrics: createRestartMetrics(metrics.registry, {
        waiting: () => this.#turns.waiting,
        running: () => this.#turns.running,
      }),
      quietly: this.#own.quietly,
    });
    // What is under way counts, whoever has begun it: first everything is looked at, then the first may have its turn.
    const unseen = new Set<string>();
    for (const [key, record] of certificates.entries()) if (record.restarts) unseen.add(key);
    for (const key of unseen) this.#queue.add(key);
    if (unseen.size === 0) this.#turns.open();
    const controller = createController({
      name: 'restart',
      queue: this.#queue,
      workers: WORKERS,
      clock,
      metrics,
      log,
      reconcile: async (key, grace) => {
        try {
          return await reconcile(key, grace);
        } finally {
          if (unseen.delete(key) && unseen.size === 0) this.#turns.open();
        }
      },
    });
    await controller.run(signal);
    this.#turns.stop();
  }
}
