/** The rollout controller: what wakes it. Run by the leader alone. */
import type { PodRecord } from '../inventory/index.ts';
import { type Change, createController, DueTimes, type Metrics, type Store, WorkQueue } from '../kube/index.ts';
import type { Enforcement, PolicyRecord } from '../policy/index.ts';
import { namespaceOf, Proxies } from './proxies.ts';
import { createRolloutReconciler, type RolloutWorld } from './reconcile.ts';
import { rolloutKey } from './record.ts';
import { Tallies } from './tally.ts';
import { Uncounted } from './uncounted.ts';

export interface RolloutControllerOptions extends RolloutWorld {
  readonly metrics: Metrics;
  /** The operator's: policies there may be for the whole mesh. */
  readonly meshNamespace: string;
  readonly pods: Store<PodRecord>;
  readonly policies: Store<PolicyRecord>;
  /** What is known of the sidecars of these policies has changed. */
  readonly onEnforcement?: (policies: ReadonlySet<string>) => void;
}

/** Everything that wakes comes in numbers, and somebody is waiting for the outcome: a look is taken once in so long (ms). */
const DEBOUNCE = 50;
/** A thousand proxies acknowledge within a second, and a look at as many workloads takes tens of milliseconds. */
const ACKNOWLEDGED_DEBOUNCE = 100;
/** Where nothing is on its way, acknowledgements only change what policies are told (ms). */
const SETTLED_DEBOUNCE = 1_000;
/** A namespace that fails is one that is in no known state for long. */
const LONGEST_RETRY = 30_000;

export class RolloutController {
  /** How far the sidecars of each policy are: for the policy controller. */
  readonly enforcement: Enforcement;
  readonly #options: RolloutControllerOptions;
  readonly #queue: WorkQueue;
  readonly #pending: DueTimes;
  readonly #proxies: Proxies;
  readonly #tallies = new Tallies();
  readonly #uncounted: Uncounted;
  #running = false;

  constructor(options: RolloutControllerOptions) {
    const { acknowledgements, clock, meshNamespace, metrics, pods, policies, rollouts } = options;
    this.#options = options;
    const uncounted = new Uncounted(meshNamespace);
    this.#uncounted = uncounted;
    this.enforcement = { of: (policy) => (uncounted.has(policy) ? 'before' : this.#tallies.of(policy)) };
    this.#queue = new WorkQueue({ name: 'rollout', clock, metrics, maxDelayMs: LONGEST_RETRY });
    this.#pending = new DueTimes({ clock, onDue: (namespace) => this.#queue.add(namespace), scale: 'monotonic' });
    this.#proxies = new Proxies(pods, (namespace, sidecar) => {
      this.#soon(namespace);
      // Whoever waits for all clients may have waited for this one.
      if (sidecar) this.#wakeUnsettled();
    });
    policies.subscribe((change) => {
      if (!isNews(change)) return;
      const namespace = namespaceOf(change.key);
      for (const concerned of namespace === meshNamespace ? this.#namespaces() : [namespace]) {
        if (this.#running) uncounted.change(concerned);
        this.#soon(concerned);
      }
    });
    rollouts.subscribe(({ key }) => this.#soon(namespaceOf(key)));
    acknowledgements.subscribe(() => {
      if (!this.#running) return;
      for (const namespace of this.#namespaces())
        this.#soon(namespace, this.#isSettled(namespace) ? SETTLED_DEBOUNCE : ACKNOWLEDGED_DEBOUNCE);
    });
  }

  /**
   * Works until the signal aborts.
   * @param synced resolves when all pods, policies and records are known: a policy that is not known yet would be taken for one that is gone.
   */
  async run(signal: AbortSignal, synced: Promise<unknown>): Promise<void> {
    const { clock, log, metrics } = this.#options;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    if (!signal.aborted) await Promise.race([synced, aborted]);
    if (signal.aborted) return;
    this.#running = true;
    this.#uncounted.begin(this.#namespaces());
    this.wakeAll();
    this.#tell(this.#uncounted.takeCounted());
    // Anew for each term: what was remembered of records is of no use once somebody else may have led.
    const begunAt = new Map<string, number>();
    const reconcileKnown = createRolloutReconciler({
      ...this.#options,
      proxies: this.#proxies,
      onTally: (namespace, tally) => {
        const changed = this.#tallies.set(namespace, tally);
        const counted = this.#uncounted.counted(namespace, begunAt.get(namespace) ?? 0);
        this.#tell(new Set([...changed, ...counted]));
      },
    });
    const reconcile: typeof reconcileKnown = (namespace, working) => {
      begunAt.set(namespace, this.#uncounted.number);
      return reconcileKnown(namespace, working).finally(() => begunAt.delete(namespace));
    };
    await createController({ name: 'rollout', queue: this.#queue, workers: 4, clock, metrics, log, reconcile }).run(
      signal,
    );
    this.#running = false;
    this.#pending.clear();
  }

  /** Everything may be different, as after a jump of the clock. */
  wakeAll(): void {
    if (!this.#running) return;
    for (const namespace of this.#namespaces()) this.#soon(namespace);
  }

  #tell(policies: ReadonlySet<string>): void {
    if (policies.size > 0) this.#options.onEnforcement?.(policies);
  }

  #wakeUnsettled(): void {
    if (!this.#running) return;
    for (const namespace of this.#namespaces()) if (!this.#isSettled(namespace)) this.#soon(namespace);
  }

  #soon(namespace: string, ms = DEBOUNCE): void {
    if (!this.#running) return;
    const due = this.#pending.get(namespace);
    if (due === undefined || due > this.#options.clock.monotonic() + ms) this.#pending.setAfter(namespace, ms);
  }

  #namespaces(): ReadonlySet<string> {
    return new Set([...this.#proxies.namespaces(), ...[...this.#options.rollouts.keys()].map(namespaceOf)]);
  }

  #isSettled(namespace: string): boolean {
    const record = this.#options.rollouts.get(rolloutKey(namespace));
    const settled = ({ phase }: { readonly phase: string }) => phase === 'Settled';
    return (
      record?.spec.workloads?.every((workload) => settled(workload) && (workload.ports ?? []).every(settled)) ===
        true && record.status.conditions?.some(({ type, status }) => type === 'Settled' && status === 'True') === true
    );
  }
}

/** Its status, which we write ourselves, is none. */
function isNews({ after, before }: Change<PolicyRecord>): boolean {
  if (before === undefined || after === undefined) return true;
  return before.uid !== after.uid || before.generation !== after.generation || before.deleting !== after.deleting;
}
