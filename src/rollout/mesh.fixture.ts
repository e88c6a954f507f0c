/**
 * A mesh in which everything happens at its own time: proxies hear of records late and of none twice, replicas of proxy-api lag, kubelet tells late what runs, leaders' caches are old, and
 * leaders die or do not notice that another leads.
 */
import type { Mode } from '../api/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import { FakeClock } from '../kube/index.ts';
import type { PolicyRecord } from '../policy/index.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { FakeApi, Leader, type PodSketch, type PolicySketch, podRecord, policyRecord } from './builders.fixture.ts';
import type { RolloutRecord } from './record.ts';
import type { ClientMode } from './step.ts';

export const NAMESPACES = ['shop', 'bank'] as const;
type Namespace = (typeof NAMESPACES)[number];
export const PORTS = [8080, 9090] as const;

interface Proxy {
  readonly key: string;
  readonly uid: string;
  readonly namespace: Namespace;
  readonly workload: string;
  readonly sketch: PodSketch;
  /** The record of its namespace when its workload had no pod before it: clients that have an older one know no endpoint of it. */
  readonly known: number;
  /** Which replica of proxy-api it is with. */
  replica: number;
  /** By which version of each record it acts; undefined: it has not come yet, and is closed. */
  heard: Map<Namespace, number> | undefined;
  /** What the leader was told of that. */
  reported: Map<Namespace, number> | undefined;
}

export class Mesh implements Acknowledgements {
  readonly clock = new FakeClock();
  readonly api = new FakeApi();
  readonly leaders: Leader[] = [];
  readonly proxies = new Map<string, Proxy>();
  readonly #pods = new Map<string, PodRecord>();
  readonly #policies = new Map<string, PolicyRecord>();
  /** Two of proxy-api: the version of each record that they configure from, and which of it the leader was told. */
  readonly #replicas = [0, 1].map(() => ({ renders: firstVersions(), told: firstVersions() }));
  readonly #listeners = new Set<() => void>();
  readonly #wanted = new Map<string, PolicySketch>();
  #count = 0;

  constructor() {
    this.takeOver();
  }

  // ---- what leaders are told

  readonly refused = [];

  versionOf(namespace: string, uid: string): string | undefined {
    const proxy = [...this.proxies.values()].find((one) => one.uid === uid);
    const version = isNamespace(namespace) ? proxy?.reported?.get(namespace) : undefined;
    return version === undefined ? undefined : String(version);
  }

  renderedFrom(namespace: string): string | undefined {
    if (!isNamespace(namespace)) return undefined;
    return String(Math.min(...this.#replicas.map(({ told: of }) => of.get(namespace) ?? 0)));
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- what happens

  setPolicy(sketch: PolicySketch): void {
    this.#count += 1;
    const record = policyRecord(sketch, this.#count);
    const key = `${record.namespace}/${record.name}`;
    this.#wanted.set(key, sketch);
    this.#policies.set(key, record);
    for (const leader of this.leaders) leader.policyChanged(record);
  }

  addPod(
    namespace: Namespace,
    workload: string,
    labels: Readonly<Record<string, string>>,
    ports: readonly number[],
  ): void {
    this.#count += 1;
    const uid = `pod-${this.#count}`;
    const sketch = { namespace, workload, labels, ports };
    const siblings = [...this.proxies.values()].find((one) => one.namespace === namespace && one.workload === workload);
    const known = siblings?.known ?? this.api.version;
    const key = `${namespace}/${uid}`;
    this.proxies.set(key, {
      key,
      uid,
      namespace,
      workload,
      sketch,
      known,
      replica: 0,
      heard: undefined,
      reported: undefined,
    });
    this.#setPod(key, podRecord(uid, { ...sketch, running: false, started: false }, String(this.#count)));
  }

  /**
   * Its sidecar comes to a replica, for the first time or anew; kubelet has yet to say that it runs. Without an entry in the record it stays closed. A replica that lags behind the one
   * before takes it back to what that knows.
   */
  connect(proxy: Proxy, replica: number): void {
    const { namespace, workload } = proxy;
    const { renders } = this.#replica(replica);
    const spec = this.api.at(namespace, renders.get(namespace) ?? 0);
    if (proxy.heard === undefined && !spec?.workloads?.some(({ name }) => name === workload)) return;
    proxy.replica = replica;
    proxy.heard = new Map(renders);
  }

  /** Kubelet says that it runs and is ready. */
  see({ heard, key, sketch, uid }: Proxy): void {
    if (heard === undefined) return;
    this.#count += 1;
    this.#setPod(key, podRecord(uid, sketch, String(this.#count)));
  }

  removePod({ key }: Proxy): void {
    this.proxies.delete(key);
    this.#pods.delete(key);
    for (const leader of this.leaders) leader.podChanged(key, undefined);
  }

  replicaHears(replica: number, namespace: Namespace, steps: number): void {
    const { renders } = this.#replica(replica);
    renders.set(namespace, this.#later(namespace, renders.get(namespace) ?? 0, steps));
  }

  /** Whoever it has given an older record to was told of before. */
  replicaTells(replica: number): void {
    for (const proxy of this.proxies.values()) if (proxy.replica === replica) this.#report(proxy);
    const { renders, told: of } = this.#replica(replica);
    for (const [namespace, version] of renders) of.set(namespace, version);
    this.#tell();
  }

  hear(proxy: Proxy, namespace: Namespace, steps: number): void {
    const heard = proxy.heard?.get(namespace);
    if (heard === undefined) return;
    const next = Math.min(
      this.#later(namespace, heard, steps),
      this.#replica(proxy.replica).renders.get(namespace) ?? 0,
    );
    proxy.heard?.set(namespace, Math.max(heard, next));
  }

  report(proxy: Proxy): void {
    this.#report(proxy);
    this.#tell();
  }

  takeOver(): void {
    this.leaders.push(new Leader(this.api, this.clock, this, this.#pods, this.#policies));
  }

  kill(): void {
    this.leaders.shift()?.kill();
    if (this.leaders.length === 0) this.takeOver();
  }

  /** Everybody hears of everything, and one leader is left. */
  async calmDown(): Promise<void> {
    for (const leader of this.leaders.splice(0, this.leaders.length - 1)) leader.kill();
    this.api.faults.length = 0;
    for (let round = 0; round < 40; round++) {
      for (const leader of this.leaders) leader.deliver();
      for (const namespace of NAMESPACES) for (const replica of [0, 1]) this.replicaHears(replica, namespace, 1000);
      for (const proxy of this.proxies.values()) {
        if (proxy.heard === undefined) this.connect(proxy, 0);
        for (const namespace of NAMESPACES) this.hear(proxy, namespace, 1000);
        if (round === 5) this.see(proxy);
      }
      for (const replica of [0, 1]) this.replicaTells(replica);
      await this.clock.advance(600);
      this.check();
    }
  }

  // ---- what must hold

  /** @throws where a client speaks plaintext to a server that takes mutual TLS only. */
  check(): void {
    for (const server of this.proxies.values()) {
      const acts = server.heard?.get(server.namespace);
      if (acts === undefined) continue;
      for (const client of this.proxies.values()) {
        const heard = client.heard?.get(server.namespace);
        if (heard === undefined || heard < server.known) continue;
        for (const port of PORTS) {
          const served = told(this.api.at(server.namespace, acts), server.workload, port).servers;
          const spoken = told(this.api.at(server.namespace, heard), server.workload, port).clients;
          if (served === 'Strict' && spoken === 'Plaintext')
            throw new Error(`${client.key} by ${heard} is refused by ${server.key}:${port} by ${acts}`);
        }
      }
    }
  }

  /** The mode that the policies ask for, by pods that agree. */
  asked(namespace: Namespace, workload: string, port: number): Mode | undefined {
    const modes = new Set<Mode>();
    for (const { sketch, ...proxy } of this.proxies.values()) {
      if (proxy.namespace !== namespace || proxy.workload !== workload) continue;
      const narrow =
        sketch.labels?.['app'] === undefined ? undefined : this.#wanted.get(`${namespace}/${sketch.labels['app']}`);
      const wide = this.#wanted.get(`${namespace}/default`);
      const of = narrow ?? wide;
      modes.add(of?.ports?.[String(port)] ?? of?.mode ?? 'Permissive');
    }
    const [only] = modes;
    return modes.size > 1 ? 'Permissive' : only;
  }

  #replica(index: number) {
    const found = this.#replicas[index];
    if (found === undefined) throw new Error(`there is no replica ${index}`);
    return found;
  }

  #setPod(key: string, pod: PodRecord): void {
    this.#pods.set(key, pod);
    for (const leader of this.leaders) leader.podChanged(key, pod);
  }

  #report(proxy: Proxy): void {
    if (proxy.heard !== undefined) proxy.reported = new Map(proxy.heard);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** A version so many after another one. */
  #later(namespace: Namespace, version: number, steps: number): number {
    const after = (this.api.history.get(namespace) ?? []).filter((one) => one.version > version);
    return after[Math.min(steps, after.length) - 1]?.version ?? version;
  }
}

function firstVersions(): Map<Namespace, number> {
  return new Map(NAMESPACES.map((namespace) => [namespace, 100]));
}

function isNamespace(name: string): name is Namespace {
  return name === 'shop' || name === 'bank';
}

/** What a proxy makes of a record. Whoever was never told about a workload opens it with mutual TLS. */
export function told(
  spec: RolloutRecord['spec'] | undefined,
  workload: string,
  port: number,
): { readonly servers: Mode; readonly clients: ClientMode; readonly phase: string } {
  const entry = spec?.workloads?.find(({ name }) => name === workload);
  const { clients, phase, servers } = entry?.ports?.find((one) => one.port === port) ?? entry ?? {};
  return { servers: servers ?? 'Permissive', clients: clients ?? 'MutualTLS', phase: phase ?? 'Settled' };
}
