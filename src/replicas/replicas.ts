/** All replicas of proxy-api, heard by the leader. Which there are is the API server's to say. */
import type { PodRecord } from '../inventory/index.ts';
import type { Change, Clock, Log, Random, Store } from '../kube/index.ts';
import { Ledger } from './ledger.ts';
import { type LeaderIdentity, listen } from './link.ts';

export interface ReplicasOptions {
  readonly pods: Store<PodRecord>;
  /** The operator's. */
  readonly namespace: string;
  /** Labels of the Deployment's pods. */
  readonly labels: Readonly<Record<string, string>>;
  readonly port: number;
  /** Who they have to be; undefined while the trust domain is not known. */
  readonly spiffeId: () => string | undefined;
  readonly identity: () => LeaderIdentity | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What is heard of proxies, for whoever decides by it. */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #ledger = new Ledger();
  readonly #listeners = new Set<() => void>();
  readonly #links = new Map<string, AbortController>();
  readonly #ending = new Set<Promise<void>>();
  #running = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    options.pods.subscribe((change) => this.#changed(change));
  }

  versionOf(namespace: string, proxy: string): string | undefined {
    return this.#ledger.versionOf(namespace, proxy);
  }

  renderedFrom(namespace: string): string | undefined {
    // Without a replica nobody is configured, and nobody can be asked.
    return this.#links.size === 0 ? undefined : this.#ledger.renderedFrom(namespace);
  }

  get refused(): readonly { readonly proxy: string; readonly error: string }[] {
    return this.#ledger.refused;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Listens until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#running = true;
    for (const [key, record] of this.#options.pods.entries()) this.#look(key, record);
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    this.#running = false;
    for (const name of [...this.#links.keys()]) this.#drop(name);
    await Promise.all(this.#ending);
  }

  #changed({ key, after }: Change<PodRecord>): void {
    if (this.#running) this.#look(key, after);
  }

  /**
   * One that is not ready gets no new proxies by its Service. It is heard all the same where it was before, since it may still have some; one that was never ready has none, so that a replica
   * that cannot start blocks nothing.
   */
  #look(key: string, record: PodRecord | undefined): void {
    const { labels, namespace, port } = this.#options;
    if (!key.startsWith(`${namespace}/`)) return;
    const { mesh, shape } = record ?? {};
    const ours = shape !== undefined && Object.entries(labels).every(([name, value]) => shape.labels[name] === value);
    const [address] = mesh?.addresses ?? [];
    if (!ours || mesh === undefined || address === undefined) {
      this.#drop(key);
      return;
    }
    // A StatefulSet's pod comes back by the same name; whoever it was is gone.
    const name = `${key} ${mesh.uid}`;
    for (const other of this.#links.keys()) if (other !== name && other.startsWith(`${key} `)) this.#drop(other);
    if (this.#links.has(name) || !mesh.ready) return;
    this.#open(name, address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
  }

  #open(name: string, target: string): void {
    const { clock, identity, log, random, spiffeId } = this.#options;
    const end = new AbortController();
    this.#links.set(name, end);
    this.#ledger.expect(name);
    const link = listen(
      {
        name,
        target,
        identity,
        spiffeId,
        clock,
        random,
        log,
        onReport: (report) => {
          this.#ledger.take(name, report);
          this.#tell();
        },
        onLost: () => {
          this.#ledger.silence(name);
          this.#tell();
        },
      },
      end.signal,
    ).finally(() => this.#ending.delete(link));
    this.#ending.add(link);
    this.#tell();
  }

  #drop(prefix: string): void {
    for (const [name, end] of this.#links) {
      if (name !== prefix && !name.startsWith(`${prefix} `)) continue;
      this.#links.delete(name);
      this.#ledger.forget(name);
      end.abort();
      this.#tell();
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
