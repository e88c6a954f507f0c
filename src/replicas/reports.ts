/**
 * What a replica of proxy-api tells the leader about proxies: who has taken which state. A snapshot first, then what changes. Pure bookkeeping; the leader reads the same messages.
 */
import * as z from 'zod';

/** Of one proxy: newer entries replace older ones. */
const proxySchema = z.object({
  uid: z.string().min(1).max(64),
  /** namespace/name of the pod. */
  pod: z.string().max(320),
  /** Number of the newest state of which it has taken everything; left out: none. */
  acknowledged: z.int().min(0).optional(),
  /** It has all that is to be told of the replica's state, whichever that is: until there is another entry of it. */
  current: z.boolean().optional(),
  /** Envoy's words, where it refuses what it is sent. */
  refused: z.string().max(2_000).optional(),
});
export type ProxyReport = z.output<typeof proxySchema>;

/** From which state on the replica renders from a namespace's record at a resourceVersion. */
const recordSchema = z.object({
  namespace: z.string().max(253),
  resourceVersion: z.string().max(64),
  state: z.int().min(0),
});
export type RecordReport = z.output<typeof recordSchema>;

export const reportSchema = z.object({
  /** Number of the newest state of which the replica has told everybody what concerns them: so that a state that concerns few is not told of thousands of proxies. */
  told: z.int().min(0).optional(),
  proxies: z.array(proxySchema).default([]),
  /** UIDs of proxies that have no stream any more. */
  gone: z.array(z.string().max(64)).default([]),
  records: z.array(recordSchema).default([]),
  /** Namespaces whose records are deleted; those in `records` have come after that. */
  recordsGone: z.array(z.string().max(253)).default([]),
});
export type Report = z.output<typeof reportSchema>;

/** gRPC method by which the leader listens to a replica. */
export const REPORTS_PATH = '/mtls_operator.v1alpha1.ProxyReports/Watch';

/** What one listener has not been told yet. */
export class PendingReport {
  readonly #proxies = new Map<string, ProxyReport>();
  readonly #gone = new Set<string>();
  readonly #records = new Map<string, RecordReport>();
  readonly #recordsGone = new Set<string>();
  #told: number | undefined;

  get empty(): boolean {
    const all = [this.#proxies, this.#gone, this.#records, this.#recordsGone];
    return this.#told === undefined && all.every(({ size }) => size === 0);
  }

  /** All that is to be told of a state has been told before this. */
  told(state: number): void {
    this.#told = state;
  }

  proxy(report: ProxyReport): void {
    this.#gone.delete(report.uid);
    this.#proxies.set(report.uid, report);
  }

  gone(uid: string): void {
    this.#proxies.delete(uid);
    this.#gone.add(uid);
  }

  record(report: RecordReport): void {
    this.#records.set(report.namespace, report);
  }

  recordGone(namespace: string): void {
    this.#records.delete(namespace);
    this.#recordsGone.add(namespace);
  }

  /** Takes all of it. Records come with or before the proxies that have acknowledged them. */
  take(): Report {
    const report = {
      ...(this.#told === undefined ? {} : { told: this.#told }),
      proxies: [...this.#proxies.values()],
      gone: [...this.#gone],
      records: [...this.#records.values()],
      recordsGone: [...this.#recordsGone],
    };
    this.#told = undefined;
    this.#proxies.clear();
    this.#gone.clear();
    this.#records.clear();
    this.#recordsGone.clear();
    return report;
  }
}
