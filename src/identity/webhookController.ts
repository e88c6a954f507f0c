/** Keeps the roots by which the API server verifies our webhook those of the authority: after a rotation, and after somebody's edit. */
import type { AuthorityCatalogue } from '../authority/index.ts';
import {
  type Clock,
  createController,
  type Log,
  type Metrics,
  type ReconcileResult,
  type Resource,
  resourcePath,
  type Store,
  TokenBucket,
  type Transport,
  WorkQueue,
} from '../kube/index.ts';
import { MESH_AUTHORITY } from './wanted.ts';
import { bundlePatch, decodeWebhooks, type WebhooksRecord } from './webhooks.ts';

export const WEBHOOK_CONFIGURATIONS: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingwebhookconfigurations',
};

export interface WebhookControllerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The one that is kept, if it is there: it is not the operator's to make. */
  readonly configurations: Store<WebhooksRecord>;
  readonly catalogue: AuthorityCatalogue;
}

const LONGEST_RETRY = 30_000;
/** Whoever insists on other roots is answered once in so long (ms), after the first few times. */
const PACE = 60_000;
const BURST = 5;

export class WebhookController {
  readonly #options: WebhookControllerOptions;
  readonly #queue: WorkQueue;
  readonly #bucket: TokenBucket;

  constructor(options: WebhookControllerOptions) {
    const { catalogue, clock, configurations, metrics } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'webhook', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#bucket = new TokenBucket(clock, BURST, PACE);
    configurations.subscribe(({ key, after }) => {
      if (after !== undefined) this.#queue.add(key);
    });
    catalogue.subscribe((authority) => {
      if (authority !== MESH_AUTHORITY) return;
      for (const key of configurations.keys()) this.#queue.add(key);
    });
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, metrics } = this.#options;
    const reconcile = (key: string, grace: AbortSignal) => this.#reconcile(key, grace);
    await createController({ name: 'webhook', queue: this.#queue, workers: 1, clock, metrics, log, reconcile }).run(
      signal,
    );
  }

  async #reconcile(name: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { catalogue, clock, configurations, log, transport } = this.#options;
    const record = configurations.get(name);
    const body = record && bundlePatch(record, catalogue.get(MESH_AUTHORITY)?.bundlePem ?? '');
    if (body === undefined) return {};
    if (!this.#bucket.take()) {
      log.warn({ name }, 'somebody keeps changing the caBundle of the webhooks: leave it to the operator');
      return { requeueAt: clock.now() + PACE };
    }
    const path = resourcePath(WEBHOOK_CONFIGURATIONS, undefined, name);
    const contentType = 'application/strategic-merge-patch+json';
    const { key, value } = decodeWebhooks(
      await transport.request({ method: 'PATCH', path, body, contentType, signal }),
    );
    configurations.observe(key, value);
    log.info({ name }, 'wrote the roots of the authority into the webhooks');
    return {};
  }
}
