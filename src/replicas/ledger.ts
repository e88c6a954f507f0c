/**
 * What the replicas of proxy-api have told of their proxies, put together: pure. Whatever is not known for certain is told as unknown, since a switch goes on by what is said here.
 */
import { compareResourceVersions } from '../kube/index.ts';
import type { ProxyReport, RecordReport, Report } from './reports.ts';

/** More versions than a namespace's record goes through while a proxy answers. */
const MOST_VERSIONS = 64;

interface Replica {
  /** By namespace, the newest last: from which state on which version counts. */
  readonly records: Map<string, RecordReport[]>;
  /** By UID. */
  readonly proxies: Map<string, ProxyReport>;
  /** Number of the state that whoever is current has. */
  told: number;
}

export class Ledger {
  /** By name; undefined: it is there, and has told nothing yet. */
  readonly #replicas = new Map<string, Replica | undefined>();

  /** A replica that has to be heard before anything is known for certain. */
  expect(replica: string): void {
    if (!this.#replicas.has(replica)) this.#replicas.set(replica, undefined);
  }

  /** It begins anew, or cannot be heard: what it has told before counts no more. */
  silence(replica: string): void {
    if (this.#replicas.has(replica)) this.#replicas.set(replica, undefined);
  }

  /** It is not there any more. */
  forget(replica: string): void {
    this.#replicas.delete(replica);
  }

  /** The first report of a replica after `expect` or `silence` is everything; others are what has changed. */
  take(replica: string, { gone, proxies, records, recordsGone, told }: Report): void {
    // What was on its way when it was forgotten: nobody would ever forget it again.
    if (!this.#replicas.has(replica)) return;
    const known = this.#replicas.get(replica) ?? { records: new Map(), proxies: new Map(), told: 0 };
    this.#replicas.set(replica, known);
    known.told = told ?? known.told;
    // Namespaces come and go for as long as a leader leads.
    for (const namespace of recordsGone) known.records.delete(namespace);
    for (const report of records) {
      const versions = known.records.get(report.namespace) ?? [];
      versions.push(report);
      if (versions.length > MOST_VERSIONS) versions.shift();
      known.records.set(report.namespace, versions);
    }
    for (const report of proxies) known.proxies.set(report.uid, report);
    for (const uid of gone) known.proxies.delete(uid);
  }

  /** The version of a namespace's record by which a proxy acts; undefined: that is not known. With streams to two replicas it may act by what either has told it. */
  versionOf(namespace: string, proxy: string): string | undefined {
    let oldest: string | undefined;
    for (const replica of this.#replicas.values()) {
      const report = replica?.proxies.get(proxy);
      if (replica === undefined || report === undefined) continue;
      const version = versionAt(replica.records.get(namespace), acknowledgedBy(report, replica.told));
      if (version === undefined) return undefined;
      if (oldest === undefined || (compareResourceVersions(version, oldest) ?? -1) < 0) oldest = version;
    }
    return oldest;
  }

  /** The oldest version that a replica renders from now; undefined: of one that is not known. */
  renderedFrom(namespace: string): string | undefined {
    let oldest: string | undefined;
    for (const replica of this.#replicas.values()) {
      const version = replica?.records.get(namespace)?.at(-1)?.resourceVersion;
      if (version === undefined) return undefined;
      if (oldest === undefined || (compareResourceVersions(version, oldest) ?? -1) < 0) oldest = version;
    }
    return oldest;
  }

  /** Proxies that do not take what they are sent, in their own words. */
  get refused(): readonly { readonly proxy: string; readonly error: string }[] {
    const found: { readonly proxy: string; readonly error: string }[] = [];
    for (const replica of this.#replicas.values()) {
      for (const { refused, uid } of replica?.proxies.values() ?? []) {
        if (refused !== undefined) found.push({ proxy: uid, error: refused });
      }
    }
    return found;
  }
}

/** Number of the newest state of which a proxy has taken everything. @param told of its replica. */
export function acknowledgedBy({ acknowledged, current }: ProxyReport, told: number): number | undefined {
  return current === true ? Math.max(acknowledged ?? 0, told) : acknowledged;
}

/** The newest version that counted when the state was made which the proxy has taken. */
function versionAt(
  versions: readonly RecordReport[] | undefined,
  acknowledged: number | undefined,
): string | undefined {
  if (versions === undefined || acknowledged === undefined) return undefined;
  return versions.findLast(({ state }) => state <= acknowledged)?.resourceVersion;
}
