/** What is known of proxies, and what that proves about a record: pure. */
import { compareResourceVersions } from '../kube/index.ts';
import { type Memory, switchKey } from './memory.ts';
import type { AcknowledgedOf } from './plan.ts';

/** A proxy that would not take its configuration. */
export interface Refusal {
  /** UID of its pod. */
  readonly proxy: string;
  /** In its own words. */
  readonly error: string;
}

/** What the replicas of proxy-api tell of their streams. */
export interface Acknowledgements {
  /**
   * The version of the namespace's record by which a proxy acts: of the newest object that its replica has seen and of which the proxy has taken whatever differs for it. Nothing may
   * differ: then it is the newest that the replica has seen. undefined: nothing is known of the proxy.
   * @param proxy UID of its pod.
   */
  versionOf(namespace: string, proxy: string): string | undefined;
  /**
   * The oldest version of the namespace's record from which any replica configures a proxy that comes to it now, so that whoever starts later or changes from replica to replica is not
   * told less than others have acknowledged. A replica tells of a newer one only after it has told of every proxy that it gave an older one to. undefined: of some replica it is not known.
   */
  renderedFrom(namespace: string): string | undefined;
  readonly refused: readonly Refusal[];
  /** Calls `listener` at every change. Returns a function that ends it. */
  subscribe(listener: () => void): () => void;
}

/** A pod with a sidecar, as far as acknowledgements go. */
export interface Proxy {
  readonly uid: string;
  /** By the API server: its container runs. */
  readonly running: boolean;
}

/** How far a set of proxies is: the oldest version by which one of them acts. 'silent': one of them says nothing. 'nobody': there is none. */
export type Reached = string | 'silent' | 'nobody';

/**
 * Which proxies are expected is the API server's to say: one that runs and says nothing may do anything. One that speaks before kubelet has said that it runs counts, too.
 * @param present the newest version that the leader knows: what is newer than that is of a record from before a restored backup, or one that the leader has yet to see.
 */
export function reachedBy(
  proxies: Iterable<Proxy>,
  versionOf: (proxy: string) => string | undefined,
  present: string,
): Reached {
  let oldest: Reached = 'nobody';
  for (const { running, uid } of proxies) {
    const version = versionOf(uid);
    if (version === undefined && !running) continue;
    if (version === undefined || !isAtLeast(present, version)) return 'silent';
    if (oldest === 'nobody' || isAtLeast(oldest, version)) oldest = version;
  }
  return oldest;
}

/** Whether all of them act by this version or a newer one. */
export function hasReached(reached: Reached, version: string): boolean {
  if (reached === 'nobody') return true;
  return reached !== 'silent' && isAtLeast(reached, version);
}

function isAtLeast(version: string, other: string): boolean {
  return (compareResourceVersions(version, other) ?? -1) >= 0;
}

export interface Sight {
  /** What is told since which version; undefined: there is no record, or it is not what is planned from, so that nobody can have acknowledged it. */
  readonly memory: Memory | undefined;
  /** Of the whole mesh: any of them may dial any port. */
  readonly clients: () => Reached;
  /** Of the proxies of a workload, by `switchKey`. */
  readonly servers: (workload: string) => Reached;
  /** Where newcomers begin. */
  readonly newcomers: Reached;
  /** Whether plaintext connections from before the switch, by `switchKey`, are closed by now. Asked for where its servers have acknowledged. */
  readonly drained: (key: string, since: string) => boolean;
}

/** Turns what is known into what a step rests upon. */
export function acknowledgedIn({ clients, drained, memory, newcomers, servers }: Sight): AcknowledgedOf {
  return (kind, name, port) => {
    const workload = switchKey(kind, name);
    const key = switchKey(kind, name, port);
    // A port that has no entry yet was one of the others until now.
    const since = memory?.since.get(key) ?? memory?.since.get(workload);
    const taken = (reached: () => Reached, version: string | undefined): boolean =>
      version !== undefined && hasReached(newcomers, version) && hasReached(reached(), version);
    // Worked out when asked for: most switches are settled and ask for nothing.
    const byServers = () => taken(() => servers(workload), since?.servers);
    return {
      get clients() {
        return taken(clients, since?.clients);
      },
      get servers() {
        return byServers();
      },
      get drained() {
        return since !== undefined && byServers() && drained(key, since.servers);
      },
    };
  };
}
