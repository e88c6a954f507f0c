/** An API server for records in memory, pods as records, and a leader, for tests that need a clock of their own: what a real API server does with the same is tested in test/rollout. */
import { type Mode, ROLLOUT_NAME } from '../api/index.ts';
import type { MeshPod, PodRecord } from '../inventory/index.ts';
import {
  ApiError,
  type ApiRequest,
  asRecord,
  createMetrics,
  type FakeClock,
  isRecord,
  LeadershipLostError,
  Store,
  silentLog,
  stringAt,
  TransportError,
} from '../kube/index.ts';
import { MESH, policy } from '../policy/builders.fixture.ts';
import { EffectiveIndex, type PolicyRecord } from '../policy/index.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { RolloutController } from './controller.ts';
import { decodeRollout, type RolloutRecord, rolloutKey } from './record.ts';

export interface PodSketch {
  readonly namespace?: string;
  readonly workload?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly number[];
  readonly sidecar?: boolean;
  /** Its sidecar runs. */
  readonly running?: boolean;
  /** Its own containers were started, and it is ready. */
  readonly started?: boolean;
}

export function podRecord(uid: string, sketch: PodSketch, resourceVersion = '1'): PodRecord {
  const { namespace = 'shop', workload = 'web', labels = {}, ports = [], sidecar = true } = sketch;
  const { running = true, started = true } = sketch;
  const mesh: MeshPod = {
    uid,
    createdAt: 0,
    account: 'default',
    workload: { kind: 'Deployment', name: workload },
    node: 'n',
    addresses: [],
    ready: started,
    started,
    sidecar: sidecar ? { serverFirst: [], inboundExcluded: [], probes: '[]', running } : undefined,
  };
  const declared = ports.map((number) => ({ number, name: undefined }));
  return { resourceVersion, uses: [], shape: { namespace, labels, ports: declared }, mesh };
}

export interface PolicySketch {
  readonly namespace: string;
  readonly name?: string;
  readonly app?: string;
  readonly mode: Mode;
  readonly ports?: Readonly<Record<string, Mode>>;
  readonly until?: Readonly<Record<string, string>>;
}

export function policyRecord(sketch: PolicySketch, version: number): PolicyRecord {
  const { name = 'default', namespace } = sketch;
  return {
    resourceVersion: String(version),
    namespace,
    name,
    uid: `${namespace}/${name}`,
    generation: version,
    deleting: false,
    content: { policy: policy({ ...sketch, name, generation: version }) },
    status: {},
  };
}

type Fault = 'refused' | 'lost';

/** One version of the record of a namespace; undefined: there was none. */
export interface Version {
  readonly version: number;
  readonly spec: RolloutRecord['spec'] | undefined;
}

/** Versions and preconditions as the API server has them, for the records alone. */
export class FakeApi {
  #version = 100;
  #uids = 0;
  readonly objects = new Map<string, Readonly<Record<string, unknown>>>();
  readonly history = new Map<string, Version[]>();
  readonly #watchers = new Set<(namespace: string) => void>();
  /** What becomes of the writes to come, one after another. */
  readonly faults: Fault[] = [];
  /** Writes of records, their status left out. */
  writes = 0;

  get version(): number {
    return this.#version;
  }

  watch(watcher: (namespace: string) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  versionOf(namespace: string): string | undefined {
    return stringAt(this.objects.get(namespace)?.['metadata'], 'resourceVersion');
  }

  record(namespace: string): RolloutRecord | undefined {
    const object = this.objects.get(namespace);
    return object === undefined ? undefined : decodeRollout(object)?.value;
  }

  /** The record as it was at a version. */
  at(namespace: string, version: number): RolloutRecord['spec'] | undefined {
    return this.history.get(namespace)?.findLast((one) => one.version <= version)?.spec;
  }

  /** As somebody with kubectl would. */
  put(namespace: string, spec: unknown): void {
    const before = asRecord(this.objects.get(namespace)?.['metadata'] ?? this.#new(namespace));
    const generation = Number(before['generation'] ?? 0) + 1;
    const { status } = this.objects.get(namespace) ?? {};
    const metadata = { ...before, generation, resourceVersion: String(++this.#version) };
    this.#set(namespace, { metadata, spec, ...(status === undefined ? {} : { status }) });
  }

  /** The same. */
  delete(namespace: string): void {
    this.#set(namespace, undefined);
  }

  readonly request = async (request: ApiRequest): Promise<unknown> => {
    await Promise.resolve();
    request.signal.throwIfAborted();
    const namespace = /namespaces\/([^/]+)\//.exec(request.path)?.[1] ?? '';
    const status = request.path.endsWith('/status');
    const fault = status ? undefined : this.faults.shift();
    if (fault === 'refused') throw new TransportError('refused', 'no connection', { ambiguous: false });
    if (!status) this.writes += 1;
    const answer = this.#answer(namespace, request, status);
    if (fault === 'lost') throw new TransportError('reset', 'no answer', { ambiguous: true });
    return structuredClone(answer);
  };

  #answer(namespace: string, { body, method }: ApiRequest, status: boolean): unknown {
    const object = this.objects.get(namespace);
    const sent = asRecord(body);
    if (method === 'POST') {
      if (object !== undefined) throw conflict('AlreadyExists');
      this.put(namespace, sent['spec']);
      return this.objects.get(namespace);
    }
    if (object === undefined) throw new ApiError({ status: 404, reason: 'NotFound', message: 'there is none' });
    const metadata = asRecord(object['metadata']);
    const asked = asRecord(method === 'DELETE' ? sent['preconditions'] : sent['metadata']);
    if (asked['uid'] !== metadata['uid']) throw conflict('Conflict');
    if (asked['resourceVersion'] !== metadata['resourceVersion']) throw conflict('Conflict');
    if (status) {
      const before = isRecord(object['status']) ? object['status'] : {};
      const merged = Object.fromEntries(
        Object.entries({ ...before, ...asRecord(sent['status']) }).filter(([, value]) => value !== null),
      );
      this.#set(namespace, {
        ...object,
        metadata: { ...metadata, resourceVersion: String(++this.#version) },
        status: merged,
      });
      return this.objects.get(namespace);
    }
    if (method === 'PUT') this.put(namespace, sent['spec']);
    else this.#set(namespace, undefined);
    return this.objects.get(namespace);
  }

  #new(namespace: string): object {
    return { namespace, name: ROLLOUT_NAME, uid: `record-${++this.#uids}`, generation: 0 };
  }

  #set(namespace: string, object: Readonly<Record<string, unknown>> | undefined): void {
    if (object === undefined) {
      this.#version += 1;
      this.objects.delete(namespace);
    } else this.objects.set(namespace, object);
    const all = this.history.get(namespace) ?? [];
    this.history.set(namespace, all);
    all.push({ version: this.#version, spec: this.record(namespace)?.spec });
    for (const watcher of this.#watchers) watcher(namespace);
  }
}

const conflict = (reason: string): ApiError => new ApiError({ status: 409, reason, message: reason });

/** A leader with caches of its own, which lag behind the world until `deliver`. */
export class Leader {
  readonly pods = new Store<PodRecord>();
  readonly policies = new Store<PolicyRecord>();
  readonly rollouts = new Store<RolloutRecord>();
  readonly index = new EffectiveIndex(MESH);
  readonly controller: RolloutController;
  readonly told = new Set<string>();
  readonly #news: (() => void)[] = [];
  readonly #stop = new AbortController();
  readonly #unwatch: () => void;
  readonly ended: Promise<void>;

  constructor(
    api: FakeApi,
    clock: FakeClock,
    acknowledgements: Acknowledgements,
    pods: ReadonlyMap<string, PodRecord>,
    policies: ReadonlyMap<string, PolicyRecord>,
  ) {
    this.policies.subscribe(({ key, after }) => {
      if (after === undefined || 'problem' in after.content) this.index.deletePolicy(key);
      else this.index.setPolicy(after.content.policy);
    });
    this.pods.subscribe(({ key, after }) => {
      if (after?.shape === undefined) this.index.deletePod(key);
      else this.index.setPod(key, after.shape);
    });
    this.controller = new RolloutController({
      transport: api,
      clock,
      log: silentLog,
      metrics: createMetrics(),
      meshNamespace: MESH,
      pods: this.pods,
      policies: this.policies,
      rollouts: this.rollouts,
      index: this.index,
      acknowledgements,
      drainSeconds: 2,
      onEnforcement: (all) => {
        for (const one of all) this.told.add(one);
      },
    });
    for (const [key, pod] of pods) this.#podWriter.apply(key, pod);
    for (const [key, one] of policies) this.#policyWriter.apply(key, one);
    for (const namespace of api.objects.keys()) this.#see(namespace, api.objects.get(namespace), api.version);
    this.#unwatch = api.watch((namespace) => {
      const object = api.objects.get(namespace);
      const { version } = api;
      this.#news.push(() => this.#see(namespace, object, version));
    });
    this.ended = this.controller.run(this.#stop.signal, Promise.resolve());
  }

  readonly #podWriter = this.pods.writer();
  readonly #policyWriter = this.policies.writer();
  readonly #rolloutWriter = this.rollouts.writer();

  podChanged(key: string, pod: PodRecord | undefined): void {
    this.#news.push(() => {
      if (pod === undefined) this.#podWriter.applyDeleted(key, '9'.repeat(12));
      else this.#podWriter.apply(key, pod);
    });
  }

  policyChanged(record: PolicyRecord): void {
    this.#news.push(() => this.#policyWriter.apply(`${record.namespace}/${record.name}`, record));
  }

  /** Its watches tell the first of what has happened. */
  deliver(count = Number.POSITIVE_INFINITY): void {
    for (const tell of this.#news.splice(0, count)) tell();
  }

  /** It dies, or has lost the Lease: nothing that it has begun goes on. */
  kill(): void {
    this.#unwatch();
    this.#stop.abort(new LeadershipLostError('killed'));
  }

  #see(namespace: string, object: unknown, version: number): void {
    const decoded = object === undefined ? undefined : decodeRollout(object);
    if (decoded === undefined) this.#rolloutWriter.applyDeleted(rolloutKey(namespace), String(version));
    else this.#rolloutWriter.apply(decoded.key, decoded.value);
  }
}
