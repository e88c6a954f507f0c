/** Sees every revision of every Secret of the operator and says what was wrong with any of them. */
import { randomUUID } from 'node:crypto';
import { GROUP } from '../../src/api/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { followHistory, putMarker } from './history.ts';
import { Ledger, type LedgerOptions, type Summary } from './ledger.ts';

/** From our own kinds to Secrets; what lies between (namespaces, pods, roles) changes seldom and is passed over. */
const range = { first: `/registry/${GROUP}/`, end: '/registry/secrets0' };
/** Sorts between the two, and no API server has anything there. */
const allMarkers = '/registry/of-the-witness/';

/** @param cluster one that was started with `readableHistory`. */
export function startWitness(cluster: Cluster, options: LedgerOptions = {}): Witness {
  return new Witness(cluster, options);
}

/** What the operator has said so far, and how it ended. */
interface Talker {
  readonly lines: readonly string[];
  readonly ends: readonly string[];
}

export class Witness implements AsyncDisposable {
  readonly ledger: Ledger;
  readonly #cluster: Cluster;
  /** Of this witness alone: history begins with the markers of earlier ones. */
  readonly #markers = `${allMarkers}${randomUUID()}/`;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  readonly #listeners = new Set<(key: string) => void>();
  #failure: unknown;
  #lastMarker = 0;
  #marker = 0;

  constructor(cluster: Cluster, options: LedgerOptions) {
    this.#cluster = cluster;
    this.ledger = new Ledger(options);
    this.#following = followHistory(
      cluster,
      range,
      (change) => {
        if (change.key.startsWith(this.#markers))
          this.#lastMarker = Math.max(this.#lastMarker, Number(change.key.slice(this.#markers.length)));
        this.ledger.take(change);
        if (change.key.startsWith('/registry/secrets/')) for (const listener of this.#listeners) listener(change.key);
      },
      this.#stop.signal,
    ).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Calls back as soon as a Secret has changed, with its key in etcd; the result ends that. */
  onSecret(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when everything that is stored now has been seen. Throws if history was lost. */
  async caughtUp(): Promise<void> {
    this.#marker += 1;
    const marker = this.#marker;
    await waitFor('etcd to take a marker', async () => {
      await putMarker(this.#cluster, `${this.#markers}${marker}`);
      return true;
    });
    await waitFor('the witness to see everything', () => {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#lastMarker >= marker;
    });
  }

  /**
   * Resolves when every WorkloadCertificate has a good Secret and is Ready.
   * @param operator whose last words go into the error if that does not come about.
   */
  async settled(operator: Talker, timeoutMs = 60_000): Promise<void> {
    await this.#until('every WorkloadCertificate to be Ready', () => this.ledger.unsettled(), operator, timeoutMs);
  }

  /** Resolves when that is so and every certificate is valid by the operator's clock as it stands. */
  async settledByClock(operator: Talker): Promise<void> {
    const amiss = () => [...this.ledger.unsettled(), ...this.ledger.outOfTime().map((key) => `${key}: not valid now`)];
    await this.#until('every certificate to be good by the clock as it stands', amiss, operator, 30_000);
  }

  /** Resolves when no renewal is in arrears. */
  async renewed(operator: Talker): Promise<void> {
    await this.#until('what is due to be renewed', () => this.ledger.overdue(5_000), operator, 90_000);
  }

  async #until(what: string, amiss: () => string[], operator: Talker, timeoutMs: number): Promise<void> {
    const look = async (): Promise<boolean> => {
      await this.caughtUp();
      const all = amiss();
      if (all.length === 0) return true;
      const said = [...operator.ends.slice(-3), ...operator.lines.slice(-12)];
      throw new Error([`${all.length} are not, as ${all.slice(0, 3).join('; ')}`, ...said].join('\n'));
    };
    await waitFor(what, look, { timeoutMs, intervalMs: 200 });
  }

  /** Sees the rest and closes the book. */
  async end(): Promise<Summary> {
    await this.caughtUp();
    const summary = this.ledger.close();
    await this[Symbol.asyncDispose]();
    return summary;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }
}
