/** A mesh as objects of the API server: pods with sidecars, as if a kubelet ran them; Services that lead to them; and the records of their modes. */
import {
  GROUP,
  type Mode,
  type MTLSRolloutSpec,
  mtlsRolloutKind,
  parseMTLSRollout,
  VERSION,
} from '../../../src/api/index.ts';
import { destinationName } from '../../../src/envoy/index.ts';
import { applyPatch, pod as podOf, settings } from '../../../src/inject/builders.fixture.ts';
import { inject } from '../../../src/inject/index.ts';
import { isRecord, type Resource, resourcePath, stringAt, type Transport } from '../../../src/kube/index.ts';
import { type AcknowledgedOf, planRollout, type WantedWorkload } from '../../../src/rollout/plan.ts';
import { printProgress } from '../../support/progress.ts';
import { waitFor } from '../../support/waitFor.ts';
import { inParallel } from '../harness.ts';

export interface MeshSize {
  readonly proxies: number;
  readonly services: number;
  /** How many of them each proxy dials: half are of its own namespace, which it is told of unasked. */
  readonly destinations: number;
}

export interface MadePod {
  readonly namespace: string;
  readonly name: string;
  readonly account: string;
  readonly uid: string;
}

export interface Mesh {
  readonly pods: readonly MadePod[];
  readonly namespaces: readonly string[];
  /** Names of the clusters of all Services, in their order. */
  readonly services: readonly string[];
  /** The Service that everybody dials. */
  readonly shared: string;
}

const core = (plural: string): Resource => ({ group: '', version: 'v1', plural });
const SLICES: Resource = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' };
const NODES = 20;
const ZONES = ['a', 'b', 'c'];
const SHARED = 'shared';
/** Pods behind the Service that everybody dials, before one more comes. */
const SHARED_PODS = 10;
const STARTED = '2026-01-01T00:00:00Z';

const nameOfNamespace = (index: number): string => `shop-${index}`;

/** Of each namespace as many Services as half of what a proxy dials. */
export function namespacesFor({ destinations, services }: Pick<MeshSize, 'services' | 'destinations'>): number {
  return Math.max(1, Math.ceil(services / Math.max(1, Math.floor(destinations / 2))));
}

export class MeshMaker {
  readonly #transport: Transport;
  readonly #signal = new AbortController().signal;
  #pods = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A workload has one account, and is of as few pods as there are proxies for each Service. */
  async make(size: MeshSize): Promise<Mesh> {
    const count = namespacesFor(size);
    const names = Array.from({ length: count }, (_, index) => nameOfNamespace(index));
    const namespaces = [...names, SHARED];
    printProgress(`  creating ${namespaces.length} namespaces, ${size.services} Services and ${size.proxies} pods`);
    await inParallel(NODES, 8, async (index) => {
      const labels = { 'topology.kubernetes.io/zone': ZONES[index % ZONES.length] };
      await this.#post(core('nodes'), undefined, { metadata: { name: `node-${index}`, labels } });
    });
    await inParallel(namespaces.length, 8, async (index) => {
      const labels = { 'mtls-operator.io/injection': 'enabled' };
      await this.#post(core('namespaces'), undefined, { metadata: { name: namespaces[index], labels } });
    });
    const services = new Array<string>(size.services).fill('');
    await inParallel(size.services, 16, async (index) => {
      services[index] = await this.#service(nameOfNamespace(index % count), `app-${index}`);
    });
    const shared = await this.#service(SHARED, SHARED);
    await inParallel(size.services, 16, async (index) => {
      await this.#account(nameOfNamespace(index % count), `app-${index}`);
    });
    await this.#account(SHARED, SHARED);
    const pods = new Array<MadePod | undefined>(size.proxies).fill(undefined);
    let done = 0;
    await inParallel(size.proxies, 16, async (index) => {
      const inShared = index < Math.min(SHARED_PODS, size.proxies);
      const workload = index % size.services;
      pods[index] = inShared
        ? await this.runPod(SHARED, SHARED, index)
        : await this.runPod(nameOfNamespace(workload % count), `app-${workload}`, index);
      done += 1;
      if (done % 500 === 0) printProgress(`  ${done} of ${size.proxies} pods run`);
    });
    const made = { pods: pods.flatMap((pod) => pod ?? []), namespaces, services, shared };
    await this.#endpointsOf(made);
    return made;
  }

  /** One more pod of the Service that everybody dials, told as a kubelet tells: made, with an address, ready. */
  async addPodToShared(): Promise<void> {
    await this.runPod(SHARED, SHARED, this.#pods + 1_000_000, true);
  }

  /** @param slowly each thing that a kubelet tells by itself. */
  async runPod(namespace: string, app: string, index: number, slowly = false): Promise<MadePod> {
    this.#pods += 1;
    const serial = this.#pods;
    const address = `10.${1 + (serial >> 16)}.${(serial >> 8) & 255}.${serial & 255}`;
    const name = `${app}-${index}`;
    const ports = [8080, 9090].map((containerPort) => ({ containerPort }));
    const probe = { httpGet: { path: '/ready', port: 8080 } };
    const containers = [{ name: 'main', image: 'web:1', ports, readinessProbe: probe }];
    const labels = { app, 'app.kubernetes.io/name': app, 'app.kubernetes.io/instance': namespace };
    const spec = { containers, serviceAccountName: app, nodeName: `node-${index % NODES}` };
    const plain = podOf(spec, { name, labels });
    const decision = inject(plain, { name: namespace, labels: { 'mtls-operator.io/injection': 'enabled' } }, settings);
    if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
    const made = await this.#post(core('pods'), namespace, applyPatch(plain, decision.patch));
    if (slowly) await this.#tell(namespace, name, address, false);
    await this.#tell(namespace, name, address, true);
    const { metadata } = isRecord(made) ? made : {};
    return { namespace, name, account: app, uid: stringAt(metadata, 'uid') ?? '' };
  }

  async #tell(namespace: string, name: string, address: string, ready: boolean): Promise<void> {
    const running = {
      state: { running: { startedAt: STARTED } },
      started: true,
      restartCount: 0,
      image: 'x',
      imageID: 'x',
    };
    const status = {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'main', ready, ...running }],
      initContainerStatuses: [{ name: 'mtls-proxy', ready, ...running }],
    };
    const path = resourcePath(core('pods'), namespace, name, 'status');
    await this.#transport.request({ method: 'PATCH', path, body: { status }, signal: this.#signal });
  }

  /** @returns the name of its cluster. */
  async #service(namespace: string, app: string): Promise<string> {
    const spec = { selector: { app }, ports: [{ port: 80, targetPort: 8080 }] };
    const made = await this.#post(core('services'), namespace, { metadata: { name: app }, spec });
    const { spec: found } = isRecord(made) ? made : {};
    return destinationName(stringAt(found, 'clusterIP') ?? '', 80);
  }

  async #account(namespace: string, name: string): Promise<void> {
    await this.#post(core('serviceaccounts'), namespace, { metadata: { name } });
  }

  async #post(resource: Resource, namespace: string | undefined, body: object): Promise<unknown> {
    const path = resourcePath(resource, namespace);
    return await this.#transport.request({ method: 'POST', path, body, signal: this.#signal });
  }

  /** Waits until the controllers have made the slices of all that runs. */
  async #endpointsOf({ pods }: Mesh): Promise<void> {
    printProgress('  waiting for the endpoints');
    const path = resourcePath(SLICES, undefined);
    await waitFor(
      'every pod to be an endpoint',
      async () => {
        const text = JSON.stringify(await this.#transport.request({ method: 'GET', path, signal: this.#signal }));
        return text.split('"ready":true').length > pods.length;
      },
      { timeoutMs: 180_000, intervalMs: 1_000 },
    );
  }
}

/** Everything is acknowledged: the bench waits for that itself before it goes a step further. */
const everything: AcknowledgedOf = () => ({ clients: true, servers: true, drained: true });

/** The records of all namespaces, taken from step to step as the leader takes them. */
export class Records {
  readonly #transport: Transport;
  readonly #signal = new AbortController().signal;
  readonly #workloads = new Map<string, string[]>();
  readonly #present = new Map<string, MTLSRolloutSpec>();
  /** resourceVersions as they were written last, by namespace. */
  versions: ReadonlyMap<string, string> = new Map();

  constructor(transport: Transport, { pods }: Pick<Mesh, 'pods'>) {
    this.#transport = transport;
    for (const { namespace, name } of pods)
      this.#workloads.set(namespace, [...(this.#workloads.get(namespace) ?? []), name]);
  }

  /** As if everything had started in a mode. @returns resourceVersions by namespace. */
  async begin(mode: Mode): Promise<Map<string, string>> {
    for (const namespace of this.#workloads.keys()) this.#plan(namespace, mode, {}, true);
    for (const namespace of this.#workloads.keys()) this.#plan(namespace, mode, this.#of(namespace));
    return await this.#write('POST');
  }

  /** One step towards a mode. @returns resourceVersions by namespace; undefined: there is nothing left to do. */
  async step(mode: Mode): Promise<Map<string, string> | undefined> {
    const before = new Map(this.#present);
    for (const namespace of this.#workloads.keys()) this.#plan(namespace, mode, this.#of(namespace));
    const changed = [...this.#present].some(
      ([namespace, spec]) => JSON.stringify(before.get(namespace)) !== JSON.stringify(spec),
    );
    return changed ? await this.#write('PATCH') : undefined;
  }

  #of(namespace: string): MTLSRolloutSpec {
    return this.#present.get(namespace) ?? {};
  }

  #plan(namespace: string, mode: Mode, present: MTLSRolloutSpec, fresh = false): void {
    const wanted = (this.#workloads.get(namespace) ?? []).map(
      (name): WantedWorkload => ({
        kind: 'Pod',
        name,
        fresh,
        others: { mode, policy: 'mtls-system/default' },
        ports: new Map(),
      }),
    );
    this.#present.set(namespace, planRollout(present, wanted, everything, new Date().toISOString()));
  }

  async #write(method: 'POST' | 'PATCH'): Promise<Map<string, string>> {
    const versions = new Map<string, string>();
    const all = [...this.#present];
    await inParallel(all.length, 4, async (index) => {
      const [namespace, spec] = all[index] ?? ['', {}];
      const { kind } = mtlsRolloutKind;
      const apiVersion = `${GROUP}/${VERSION}`;
      const body = method === 'POST' ? { apiVersion, kind, metadata: { name: 'default', namespace }, spec } : { spec };
      const path = mtlsRolloutKind.path(namespace, method === 'POST' ? undefined : 'default');
      const answer = await this.#transport.request({ method, path, body, signal: this.#signal });
      versions.set(namespace, parseMTLSRollout(answer).metadata.resourceVersion ?? '');
    });
    this.versions = versions;
    return versions;
  }
}
