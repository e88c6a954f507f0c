/** The policy controller: what wakes it, and the index of effective modes that it keeps. */
import type { PodRecord } from '../inventory/index.ts';
import {
  type Change,
  createController,
  DueTimes,
  type Log,
  type Metrics,
  type Store,
  TokenBucket,
  WorkQueue,
} from '../kube/index.ts';
import { EffectiveIndex } from './effectiveIndex.ts';
import type { PolicyRecord } from './policyRecord.ts';
import { createPolicyReconciler, type PolicyWorld } from './reconcile.ts';

export interface PolicyControllerOptions extends PolicyWorld {
  readonly metrics: Metrics;
  readonly log: Log;
  /** Empty where the operator does not look at pods. */
  readonly pods: Store<PodRecord>;
  /** Whether all pods and Services of a namespace, or of all, are known. */
  readonly knowsPods: (namespace: string | undefined) => boolean;
}

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));

/** Pods come and go in numbers: what they mean for policies is told once in so long (ms). */
const DEBOUNCE = 5_000;
/** The same, for proxies that acknowledge: many in a moment, and somebody is waiting for the last. */
const PROXIES_DEBOUNCE = 500;
/** For all policies together: one write in so long (ms), after the first few. */
const PACE = 20;
const BURST = 50;
const LONGEST_RETRY = 60_000;
/** How long the first look waits for the pods to be known (ms). They may never be: their permission may be missing. */
const PODS_PATIENCE = 10_000;

export class PolicyController {
  /** The effective modes of all pods that are known. */
  readonly index: EffectiveIndex;
  readonly #options: PolicyControllerOptions;
  readonly #queue: WorkQueue;
  /** Namespaces in which pods or Services have changed. */
  readonly #pending: DueTimes;
  /** Policies of which proxies have told something. */
  readonly #pendingProxies: DueTimes;
  #running = false;

  constructor(options: PolicyControllerOptions) {
    const { clock, meshNamespace, metrics, pods, policies, services } = options;
    this.#options = options;
    this.index = new EffectiveIndex(meshNamespace);
    this.#queue = new WorkQueue({ name: 'policy', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#pending = new DueTimes({ clock, onDue: (namespace) => this.#wake(namespace), scale: 'monotonic' });
    this.#pendingProxies = new DueTimes({ clock, onDue: (key) => this.#queue.add(key), scale: 'monotonic' });
    policies.subscribe((change) => this.#policyChanged(change));
    pods.subscribe((change) => this.#podChanged(change));
    services.subscribe(({ key }) => this.#later(namespaceOf(key)));
  }

  /**
   * Works until the signal aborts.
   * @param synced resolves when all policies are known.
   * @param podsSynced resolves when all pods and Services are; undefined: the operator does not look at them.
   */
  async run(signal: AbortSignal, synced: Promise<unknown>, podsSynced: Promise<unknown> | undefined): Promise<void> {
    const { clock, log, metrics } = this.#options;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    if (!signal.aborted) await Promise.race([synced, aborted]);
    // Without this every start would first say of each policy that its pods are unknown.
    const patience = Promise.withResolvers<void>();
    const cancel = clock.setTimer(PODS_PATIENCE, patience.resolve);
    await Promise.race([podsSynced, patience.promise, aborted]);
    cancel();
    if (signal.aborted) return;
    this.#running = true;
    this.wakeAll();
    void podsSynced?.then(() => this.wakeAll());
    const bucket = new TokenBucket(clock, BURST, PACE);
    const reconcile = createPolicyReconciler({
      ...this.#options,
      index: this.index,
      mayWrite: () => bucket.take(),
      retryMs: BURST * PACE,
    });
    await createController({ name: 'policy', queue: this.#queue, workers: 2, clock, metrics, log, reconcile }).run(
      signal,
    );
    this.#running = false;
    this.#pending.clear();
    this.#pendingProxies.clear();
  }

  /** What is known of the proxies of these policies has changed. */
  proxiesChanged(policies: Iterable<string>): void {
    if (!this.#running) return;
    for (const key of policies) {
      const known = this.#options.policies.has(key) && this.#pendingProxies.get(key) === undefined;
      if (known) this.#pendingProxies.setAfter(key, PROXIES_DEBOUNCE);
    }
  }

  /** Its labels may say something else. */
  namespaceChanged(namespace: string): void {
    this.#later(namespace);
  }

  /** Everything may be different, as after a jump of the clock. */
  wakeAll(): void {
    if (!this.#running) return;
    for (const key of this.#options.policies.keys()) this.#queue.add(key);
  }

  #policyChanged({ key, before, after }: Change<PolicyRecord>): void {
    const sameSpec = before !== undefined && before.uid === after?.uid && before.generation === after.generation;
    if (sameSpec && before.deleting === after.deleting) {
      if (this.#running) this.#queue.add(key);
      return;
    }
    const was = this.index.get(key);
    const policy = after === undefined || 'problem' in after.content ? undefined : after.content.policy;
    if (policy === undefined) this.index.deletePolicy(key);
    else this.index.setPolicy(policy);
    if (!this.#running) return;
    const wide = [was, policy].some((one) => one !== undefined && this.index.scopeOf(one) === 'Mesh');
    if (wide) this.wakeAll();
    else this.#wake(namespaceOf(key));
  }

  #podChanged({ key, before, after }: Change<PodRecord>): void {
    if (after?.shape === undefined) {
      if (before?.shape === undefined) return;
      this.index.deletePod(key);
    } else {
      // Most changes of a pod are of its status alone.
      if (before !== undefined && JSON.stringify(before.shape) === JSON.stringify(after.shape)) return;
      this.index.setPod(key, after.shape);
    }
    this.#later(namespaceOf(key));
  }

  #later(namespace: string): void {
    if (this.#running && this.#pending.get(namespace) === undefined) this.#pending.setAfter(namespace, DEBOUNCE);
  }

  /** What is in a namespace, and what is for the whole mesh. */
  #wake(namespace: string): void {
    const { meshNamespace, policies } = this.#options;
    for (const [key, record] of policies.entries()) {
      if (record.namespace === namespace || record.namespace === meshNamespace) this.#queue.add(key);
    }
  }
}
