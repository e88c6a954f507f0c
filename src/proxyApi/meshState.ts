/** What every proxy is to have, from what the API server says: kept as that changes, rendered when a proxy asks. */
import {
  type AddressRange,
  inboundClusters,
  inboundListener,
  outboundClusters,
  outboundListener,
  probeClusters,
  probeListener,
  types,
} from '../envoy/index.ts';
import type { MeshPod, PodRecord, Sidecar } from '../inventory/index.ts';
import type { Change, Log, Store } from '../kube/index.ts';
import { Destinations, type MeshEndpointSlice, type MeshService, type Place } from '../mesh/index.ts';
import type { RecordReport } from '../replicas/index.ts';
import type { ProxySource, Resource } from '../xds/index.ts';
import { namesOfService, RenderedDestinations } from './destinationResources.ts';
import { Encodings } from './encodings.ts';
import { hasIpv6, inboundOf, type ProxiedPod, probesOfPod } from './inboundOf.ts';
import { modesOfWorkload, type RecordedModes, type WorkloadModes } from './recordedModes.ts';

export interface NodeRecord {
  readonly resourceVersion: string;
  /** Label topology.kubernetes.io/zone; '' where it has none. */
  readonly zone: string;
}

export interface MeshStores {
  readonly pods: Store<PodRecord>;
  readonly services: Pick<Store<MeshService>, 'get' | 'subscribe'>;
  readonly slices: Store<MeshEndpointSlice>;
  readonly rollouts: Store<RecordedModes>;
  readonly nodes: Store<NodeRecord>;
}

export interface MeshSettings {
  readonly trustDomain: string;
  /** Of pods and Services: there proxies ask before they dial. */
  readonly ranges: readonly AddressRange[];
  readonly log: Log;
  /** Something has changed that a proxy may have to be told. */
  readonly onChange: () => void;
  /** From the state of this number on, proxies are rendered from a namespace's record at this version. Called before `onChange`. */
  readonly onRecord: (record: RecordReport) => void;
}

/** More Services of a namespace are left to be asked for. */
const MOST_AHEAD = 200;

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));

export class MeshState {
  readonly #stores: MeshStores;
  readonly #settings: MeshSettings;
  readonly #destinations = new Destinations();
  readonly #encodings = new Encodings();
  readonly #rendered: RenderedDestinations;
  /** By namespace: there is one record in each. */
  readonly #modes = new Map<string, RecordedModes>();
  readonly #ahead = new Map<string, readonly string[]>();
  readonly #servicesOf = new Map<string, Set<string>>();
  #number = 0;

  constructor(stores: MeshStores, settings: MeshSettings) {
    this.#stores = stores;
    this.#settings = settings;
    this.#rendered = new RenderedDestinations({
      destinations: this.#destinations,
      pod: (key) => stores.pods.get(key),
      modes: (namespace) => this.#modes.get(namespace),
      encodings: this.#encodings,
      trustDomain: settings.trustDomain,
    });
    stores.pods.subscribe((change) => this.#changed(this.#destinations.applyPod(change), isSeen(change)));
    stores.slices.subscribe((change) => this.#changed(this.#destinations.applySlice(change), false));
    stores.services.subscribe((change) => {
      this.#note(change);
      this.#changed(this.#destinations.applyService(change), false);
    });
    stores.rollouts.subscribe((change) => this.#recorded(change));
    stores.nodes.subscribe(({ before, after }) => {
      if (before?.zone !== after?.zone) this.#changed([], true);
    });
  }

  /** Grows with each change. */
  get number(): number {
    return this.#number;
  }

  /** The namespace's record that proxies are rendered from. */
  modes(namespace: string): RecordedModes | undefined {
    return this.#modes.get(namespace);
  }

  /** @param key of a pod with a sidecar. */
  sourceOf(key: string, uid: string): ProxySource {
    return new PodSource(key, uid, {
      pod: () => this.#stores.pods.get(key),
      modes: () => this.#modes.get(namespaceOf(key)),
      zone: (node) => this.#stores.nodes.get(node)?.zone ?? '',
      ahead: () => this.#aheadOf(namespaceOf(key)),
      rendered: this.#rendered,
      encodings: this.#encodings,
      settings: this.#settings,
    });
  }

  #changed(addresses: readonly string[], always: boolean): void {
    if (addresses.length === 0 && !always) return;
    this.#rendered.forget(addresses);
    this.#number += 1;
    this.#settings.onChange();
  }

  #recorded({ before, after }: Change<RecordedModes>): void {
    const namespace = after?.namespace ?? before?.namespace;
    if (namespace === undefined) return;
    if (after?.problem !== undefined) {
      // Proxies go on as they are: nothing is known that is better.
      this.#settings.log.error({ namespace, error: after.problem }, 'the rollout of a namespace cannot be read');
      return;
    }
    if (after === undefined) this.#modes.delete(namespace);
    else this.#modes.set(namespace, after);
    const addresses = new Set<string>();
    const changed = differences(before, after);
    for (const [key, { mesh }] of this.#stores.pods.entries()) {
      if (mesh?.sidecar === undefined || namespaceOf(key) !== namespace) continue;
      if (!changed.has(`${mesh.workload.kind}/${mesh.workload.name}`)) continue;
      for (const address of this.#destinations.concerning(key)) addresses.add(address);
    }
    this.#rendered.forget(addresses);
    this.#number += 1;
    if (after !== undefined)
      this.#settings.onRecord({ namespace, resourceVersion: after.resourceVersion, state: this.#number });
    this.#settings.onChange();
  }

  #note({ key, before, after }: Change<MeshService>): void {
    const namespace = namespaceOf(key);
    this.#ahead.delete(namespace);
    const keys = this.#servicesOf.get(namespace) ?? new Set<string>();
    if (after === undefined) keys.delete(key);
    else if (before === undefined) keys.add(key);
    if (keys.size === 0) this.#servicesOf.delete(namespace);
    else this.#servicesOf.set(namespace, keys);
  }

  /** Names of the namespace's own Services: what its pods dial first they know already. */
  #aheadOf(namespace: string): readonly string[] {
    const known = this.#ahead.get(namespace);
    if (known !== undefined) return known;
    const names = [...(this.#servicesOf.get(namespace) ?? [])].sort().flatMap((key) => {
      const service = this.#stores.services.get(key);
      return service === undefined ? [] : namesOfService(service);
    });
    const ahead = names.slice(0, MOST_AHEAD);
    this.#ahead.set(namespace, ahead);
    return ahead;
  }
}

/** Whether a proxy of this pod may have to be told, or ended. */
function isSeen({ before, after }: Change<PodRecord>): boolean {
  if (before?.mesh?.sidecar === undefined && after?.mesh?.sidecar === undefined) return false;
  return JSON.stringify(seenOf(before)) !== JSON.stringify(seenOf(after));
}

/** What its own proxy is rendered from. */
function seenOf(pod: PodRecord | undefined): unknown {
  if (pod?.mesh === undefined) return undefined;
  const { ready: _, sidecar, ...mesh } = pod.mesh;
  return [mesh, { ...sidecar, running: true }, pod.shape?.ports];
}

/** Workloads whose modes are not what they were, by `kind/name`. */
function differences(before: RecordedModes | undefined, after: RecordedModes | undefined): Set<string> {
  const text = (modes: RecordedModes | undefined, key: string): string => {
    const found = modes?.workloads.get(key);
    return found === undefined ? '' : JSON.stringify([found.others, [...found.ports]]);
  };
  const keys = new Set([...(before?.workloads.keys() ?? []), ...(after?.workloads.keys() ?? [])]);
  return new Set([...keys].filter((key) => text(before, key) !== text(after, key)));
}

interface PodView {
  readonly pod: () => PodRecord | undefined;
  readonly modes: () => RecordedModes | undefined;
  readonly zone: (node: string) => string;
  readonly ahead: () => readonly string[];
  readonly rendered: RenderedDestinations;
  readonly encodings: Encodings;
  readonly settings: MeshSettings;
}

/** What one proxy is to have. */
class PodSource implements ProxySource {
  readonly #key: string;
  readonly #uid: string;
  readonly #view: PodView;
  /** What was rendered last, and of what: most changes are of other pods. */
  #own:
    | { readonly record: PodRecord; readonly modes: RecordedModes | undefined; readonly is: OwnResources }
    | undefined;

  constructor(key: string, uid: string, view: PodView) {
    this.#key = key;
    this.#uid = uid;
    this.#view = view;
  }

  get ended(): string | undefined {
    return this.#pod() === undefined ? `pod ${this.#key} (UID ${this.#uid}) is not there any more` : undefined;
  }

  all(type: string): Iterable<Resource> {
    const pod = this.#pod();
    if (pod === undefined) return [];
    const own = this.#ownOf(pod);
    if (type === types.listener) return own.listeners;
    if (type !== types.cluster) return [];
    const place = this.#place(pod.mesh);
    const ahead = this.#view.ahead().flatMap((name) => this.#view.rendered.get(name, place)?.cluster ?? []);
    return [...own.clusters, ...ahead];
  }

  named(type: string, name: string): Resource | undefined {
    const pod = this.#pod();
    if (pod === undefined) return undefined;
    const found = this.#view.rendered.get(name, this.#place(pod.mesh));
    if (type === types.cluster) return found?.cluster;
    return type === types.endpoints ? found?.endpoints : undefined;
  }

  #pod(): (ProxiedPod & { readonly record: PodRecord }) | undefined {
    const record = this.#view.pod();
    if (record?.mesh?.sidecar === undefined || record.shape === undefined || record.mesh.uid !== this.#uid)
      return undefined;
    const { mesh, shape } = record;
    const { sidecar } = record.mesh;
    return { record, shape, mesh: { ...mesh, sidecar } };
  }

  #place({ node }: MeshPod & { readonly sidecar: Sidecar }): Place {
    return { node, zone: this.#view.zone(node) };
  }

  #ownOf(pod: ProxiedPod & { readonly record: PodRecord }): OwnResources {
    const modes = this.#view.modes();
    if (this.#own?.record === pod.record && this.#own.modes === modes) return this.#own.is;
    const is = this.#render(pod, modesOfWorkload(modes, pod.mesh.workload));
    this.#own = { record: pod.record, modes, is };
    return is;
  }

  #render(pod: ProxiedPod, modes: WorkloadModes): OwnResources {
    const inbound = inboundOf(pod, modes, this.#view.settings.trustDomain);
    const probes = probesOfPod(pod);
    const { encodings, settings } = this.#view;
    const ipv6 = hasIpv6(pod.mesh);
    const source = (of: string, ...parts: readonly unknown[]): string => `${of} ${JSON.stringify(parts)}`;
    const listeners = [
      encodings.resource('inbound', source('inbound', inbound), () => inboundListener(inbound)),
      encodings.resource('outbound', source('outbound', ipv6), () =>
        outboundListener({ ranges: settings.ranges, ipv6 }),
      ),
      ...(probes === undefined
        ? []
        : [encodings.resource('probes', source('probes', probes.routes, ipv6), () => probeListener(probes))]),
    ];
    const clusters = [
      ...inboundClusters(inbound),
      ...outboundClusters(),
      ...(probes === undefined ? [] : probeClusters(probes)),
    ].map((cluster) => encodings.resource(cluster.name, source('cluster', cluster), () => cluster));
    return { listeners, clusters };
  }
}

interface OwnResources {
  readonly listeners: readonly Resource[];
  readonly clusters: readonly Resource[];
}
