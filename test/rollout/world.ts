/**
 * Leaders with the operator's own permissions and a real API server. Pods are objects without a kubelet, whose status tests write; proxies are simulated: each takes the records as a watch of
 * its own brings them, at its own time.
 */
import { API_VERSION, type Mode, type MTLSPolicy, mtlsPolicyKind, parseMTLSPolicy } from '../../src/api/index.ts';
import { inventoryRules, operatorAccount, rolloutRules } from '../../src/api/rbac.ts';
import { containerNames } from '../../src/inject/index.ts';
import { decodePod, type PodRecord, type ServiceRecord } from '../../src/inventory/index.ts';
import {
  asRecord,
  asString,
  type Connection,
  createMetrics,
  createReflector,
  createTransport,
  LeadershipLostError,
  loadConnection,
  type Resource,
  Store,
  silentLog,
  systemClock,
  type Transport,
} from '../../src/kube/index.ts';
import { decodePolicy, PolicyController, type PolicyRecord } from '../../src/policy/index.ts';
import {
  type Acknowledgements,
  decodeRollout,
  type Refusal,
  RolloutController,
  type RolloutRecord,
  rolloutKey,
} from '../../src/rollout/index.ts';
import { startClusterWithKinds } from '../api/cluster.ts';
import { record, send } from '../api/control.ts';
import type { Cluster } from '../cluster/index.ts';
import { grantToOperator } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';

export const NAMESPACE = 'shop';
const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
const mtls = (plural: string): Resource => ({ group: 'mtls-operator.io', version: 'v1alpha1', plural });

interface Proxy {
  readonly uid: string;
  readonly workload: string;
  /** The record by which it acts. */
  acts: RolloutRecord | undefined;
}

/** What a replica of proxy-api would tell, with proxies that dawdle. */
export class SimulatedProxies implements Acknowledgements {
  readonly proxies = new Map<string, Proxy>();
  readonly refused: Refusal[] = [];
  /** Pods that take nothing for now. */
  readonly deaf = new Set<string>();
  readonly violations: string[] = [];
  readonly #rollouts: Store<RolloutRecord>;
  readonly #listeners = new Set<() => void>();

  constructor(rollouts: Store<RolloutRecord>) {
    this.#rollouts = rollouts;
    rollouts.subscribe(() => {
      for (const name of this.proxies.keys()) this.#soon(name);
      this.tell();
    });
  }

  versionOf(_: string, uid: string): string | undefined {
    return [...this.proxies.values()].find((one) => one.uid === uid)?.acts?.resourceVersion;
  }

  renderedFrom(namespace: string): string | undefined {
    return this.#rollouts.get(rolloutKey(namespace))?.resourceVersion;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  add(name: string, uid: string, workload: string): void {
    this.proxies.set(name, { uid, workload, acts: undefined });
    this.#soon(name);
  }

  hears(name: string): void {
    this.deaf.delete(name);
    this.#soon(name);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #soon(name: string): void {
    setTimeout(() => {
      const proxy = this.proxies.get(name);
      if (proxy === undefined || this.deaf.has(name)) return;
      proxy.acts = this.#rollouts.get(rolloutKey(NAMESPACE));
      this.#check();
      this.tell();
    }, Math.random() * 100).unref();
  }

  #check(): void {
    for (const server of this.proxies.values()) {
      if (told(server.acts, server.workload)?.servers !== 'Strict') continue;
      for (const client of this.proxies.values()) {
        if (told(client.acts, server.workload)?.clients === 'Plaintext')
          this.violations.push(
            `${client.uid} by ${client.acts?.resourceVersion}, ${server.uid} by ${server.acts?.resourceVersion}`,
          );
      }
    }
  }
}

function told(of: RolloutRecord | undefined, workload: string) {
  return of?.spec.workloads?.find(({ name }) => name === workload);
}

/** One term of a leader, wired as the operator's main does it. */
export class Leader {
  readonly #stop = new AbortController();
  readonly ended: Promise<unknown>;

  constructor(transport: Transport, acknowledgements: Acknowledgements) {
    const base = { transport, clock: systemClock, random: Math.random, metrics: createMetrics(), log: silentLog };
    const pods = new Store<PodRecord>();
    const policies = new Store<PolicyRecord>();
    const rollouts = new Store<RolloutRecord>();
    const reflectors = [
      createReflector({ ...base, name: 'pods', resource: PODS, namespaces: 'all', decode: decodePod, store: pods }),
      createReflector({
        ...base,
        name: 'mtlspolicies',
        resource: mtls('mtlspolicies'),
        namespaces: 'all',
        decode: decodePolicy,
        store: policies,
      }),
      createReflector({
        ...base,
        name: 'mtlsrollouts',
        resource: mtls('mtlsrollouts'),
        namespaces: 'all',
        decode: decodeRollout,
        store: rollouts,
      }),
    ];
    const synced = Promise.all(reflectors.map((reflector) => reflector.synced));
    const policyController = new PolicyController({
      ...base,
      meshNamespace: operatorAccount.namespace,
      policies,
      pods,
      services: new Store<ServiceRecord>(),
      inMesh: () => true,
      knowsPods: () => reflectors.every((reflector) => reflector.hasSynced()),
      enforcement: { of: (policy) => rolloutController.enforcement.of(policy) },
    });
    // After the policy controller: the index has to know a pod or a policy before whoever asks it is woken.
    const rolloutController: RolloutController = new RolloutController({
      ...base,
      meshNamespace: operatorAccount.namespace,
      pods,
      policies,
      rollouts,
      index: policyController.index,
      acknowledgements,
      drainSeconds: 0,
      onEnforcement: (changed) => policyController.proxiesChanged(changed),
    });
    const { signal } = this.#stop;
    this.ended = Promise.all([
      ...reflectors.map((reflector) => reflector.run(signal)),
      policyController.run(signal, synced, synced),
      rolloutController.run(signal, synced),
    ]);
  }

  /** Whatever it has begun does not go on; it may have been done all the same. */
  async kill(): Promise<void> {
    this.#stop.abort(new LeadershipLostError('killed'));
    await this.ended;
  }
}

export class World implements AsyncDisposable {
  readonly proxies: SimulatedProxies;
  readonly cluster: Cluster;
  readonly #transport: Transport;
  readonly #replica: AbortController;
  leader: Leader;

  private constructor(cluster: Cluster, transport: Transport, proxies: SimulatedProxies, replica: AbortController) {
    this.cluster = cluster;
    this.#transport = transport;
    this.proxies = proxies;
    this.#replica = replica;
    this.leader = new Leader(transport, proxies);
  }

  static async start(): Promise<World> {
    const cluster = await startClusterWithKinds();
    try {
      await grantToOperator(cluster, 'rollouts', [...inventoryRules, ...rolloutRules]);
      const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`;
      await waitFor('the service account `default`', async () => (await send(cluster, 'GET', account)).status === 200);
      const transport = open(
        await loadConnection({ kubeconfig: await cluster.kubeconfigForServiceAccount(operatorAccount) }),
      );
      const store = new Store<RolloutRecord>();
      const replica = new AbortController();
      const base = { transport, clock: systemClock, random: Math.random, metrics: createMetrics(), log: silentLog };
      const resource = mtls('mtlsrollouts');
      const watching = createReflector({
        ...base,
        name: 'replica',
        resource,
        namespaces: 'all',
        decode: decodeRollout,
        store,
      });
      void watching.run(replica.signal);
      return new World(cluster, transport, new SimulatedProxies(store), replica);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leader.kill();
    this.#replica.abort();
    await this.#transport.close();
    await this.cluster.stop();
  }

  /** Another one begins where this one was. */
  async killLeader(): Promise<void> {
    const { leader } = this;
    this.leader = new Leader(this.#transport, this.proxies);
    await leader.kill();
  }

  async send(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object) {
    const answer = await send(this.cluster, method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${String(answer.body['message'])}`);
    return answer.body;
  }

  /** The pods of a workload, each with a sidecar that runs. */
  async addPods(workload: string, count: number, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    // Whatever made them has to exist, or they are taken for garbage.
    const owner = record(
      (await this.send('POST', `/api/v1/namespaces/${NAMESPACE}/configmaps`, { metadata: { name: workload } }))[
        'metadata'
      ],
    );
    const ownerReferences = [
      { apiVersion: 'v1', kind: 'ConfigMap', name: workload, uid: asString(owner['uid']), controller: true },
    ];
    for (let number = 0; number < count; number++) {
      const name = `${workload}-${number}`;
      const path = `/api/v1/namespaces/${NAMESPACE}/pods`;
      const made = await this.send('POST', path, {
        metadata: { name, labels, ownerReferences },
        spec: {
          initContainers: [{ name: containerNames.proxy, image: 'registry.invalid/envoy', restartPolicy: 'Always' }],
          containers: [
            { name: 'main', image: 'registry.invalid/main', ports: [{ containerPort: 8080, name: 'http' }] },
          ],
        },
      });
      const running = (container: string) => ({
        name: container,
        image: 'x',
        imageID: 'x',
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: new Date().toISOString() } },
      });
      await this.send('PATCH', `${path}/${name}/status`, {
        status: {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True' }],
          initContainerStatuses: [running(containerNames.proxy)],
          containerStatuses: [running('main')],
        },
      });
      this.proxies.add(name, asString(asRecord(made['metadata'])['uid']), workload);
    }
  }

  async removePods(): Promise<void> {
    for (const name of [...this.proxies.proxies.keys()]) {
      await this.send('DELETE', `/api/v1/namespaces/${NAMESPACE}/pods/${name}?gracePeriodSeconds=0`);
      this.proxies.proxies.delete(name);
    }
  }

  async setMode(mode: Mode, name = 'default'): Promise<void> {
    const path = mtlsPolicyKind.path(NAMESPACE, name);
    const found = await send(this.cluster, 'GET', path);
    if (found.status === 200) await this.send('PATCH', path, { spec: { mode } });
    else {
      const head = { apiVersion: API_VERSION, kind: 'MTLSPolicy', metadata: { name } };
      await this.send('POST', mtlsPolicyKind.path(NAMESPACE), { ...head, spec: { mode } });
    }
  }

  async policy(name = 'default'): Promise<MTLSPolicy> {
    return parseMTLSPolicy(await this.send('GET', mtlsPolicyKind.path(NAMESPACE, name)));
  }
}

function open(connection: Connection): Transport {
  return createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics(),
    log: silentLog,
    userAgent: 'test',
  });
}
