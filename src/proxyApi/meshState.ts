/** What every proxy is to have, from what the API server says: kept as that changes, rendered when a proxy asks. */
import { BlockList, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
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
import type { PodRecord } from '../inventory/index.ts';
import type { Change, Log, Store } from '../kube/index.ts';
import { Destinations, type MeshEndpointSlice, type MeshNode, type MeshService, type Place } from '../mesh/index.ts';
import type { RecordReport } from '../replicas/index.ts';
import type { ProxySource, Resource } from '../xds/index.ts';
import { namesOfService, RenderedDestinations } from './destinationResources.ts';
import { Encodings } from './encodings.ts';
import { hasIpv6, inboundOf, type ProxiedPod, probesOfPod } from './inboundOf.ts';
import {
  isRecorded,
  modesOfWorkload,
  type PortModes,
  type RecordedModes,
  type WorkloadModes,
} from './recordedModes.ts';

export interface NodeRecord extends MeshNode {
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
  /** Something has changed that proxies may have to be told, of these subjects: addresses of destinations, and what proxies are told of themselves by. */
  readonly onChange: (subjects: Iterable<string>) => void;
  /** From the state of this number on, proxies are rendered from a namespace's record at this version. Called before `onChange`. */
  readonly onRecord: (record: RecordReport) => void;
  /** Proxies are rendered without a record of the namespace from now on. Called before `onChange`. */
  readonly onRecordGone: (namespace: string) => void;
}

/** More Services of a namespace are left to be asked for. */
const MOST_AHEAD = 200;

/** What proxies are told of themselves by; addresses look otherwise. */
const subjects = {
  pod: (key: string) => `pod ${key}`,
  namespace: (name: string) => `namespace ${name}`,
  node: (name: string) => `node ${name}`,
};

const familyWord = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

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
  /** Namespaces in which a Service has changed since. */
  readonly #aheadStale = new Set<string>();
  readonly #servicesOf = new Map<string, Set<string>>();
  #number = 0;

  constructor(stores: MeshStores, settings: MeshSettings) {
    this.#stores = stores;
    this.#settings = settings;
    const ranges = new BlockList();
    for (const { address, length } of settings.ranges) ranges.addSubnet(address, length, familyWord(address));
    this.#rendered = new RenderedDestinations({
      destinations: this.#destinations,
      pod: (key) => stores.pods.get(key),
      inRanges: (address) => ranges.check(address, familyWord(address)),
      modes: (namespace) => this.#modes.get(namespace),
      encodings: this.#encodings,
      trustDomain: settings.trustDomain,
    });
    stores.pods.subscribe((change) =>
      this.#changed(
        [...this.#destinations.applyPod(change), ...this.#rendered.awaiting(change.key)],
        isSeen(change) ? [subjects.pod(change.key)] : [],
      ),
    );
    stores.slices.subscribe((change) => this.#changed(this.#destinations.applySlice(change)));
    stores.services.subscribe((change) => {
      this.#note(change);
      this.#changed(this.#destinations.applyService(change), [subjects.namespace(namespaceOf(change.key))]);
    });
    stores.rollouts.subscribe((change) => this.#recorded(change));
    stores.nodes.subscribe((change) => {
      const { key, before, after } = change;
      this.#changed(this.#destinations.applyNode(change), before?.zone === after?.zone ? [] : [subjects.node(key)]);
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

  /** @param own what proxies are told of themselves by. */
  #changed(addresses: readonly string[], own: readonly string[] = []): void {
    if (addresses.length === 0 && own.length === 0) return;
    this.#rendered.forget(addresses);
    this.#number += 1;
    this.#settings.onChange([...addresses, ...own]);
  }

  #recorded({ before, after }: Change<RecordedModes>): void {
    const namespace = after?.namespace ?? before?.namespace;
    if (namespace === undefined) return;
    if (after?.problem !== undefined) {
      // Proxies go on as they are: nothing is known that is better.
      this.#settings.log.error({ namespace, error: after.problem }, 'the rollout of a namespace cannot be read');
      return;
    }
    const known = this.#modes.get(namespace);
    const changed = differences(known, after, (modes) => modes);
    const dialledOtherwise = differences(known, after, ({ clients }) => clients);
    if (after === undefined) this.#modes.delete(namespace);
    else this.#modes.set(namespace, kept(known, after, changed));
    // How servers accept connections is nothing to whoever dials them.
    const addresses = new Set<string>();
    for (const [key, { mesh }] of this.#stores.pods.entries()) {
      if (mesh?.sidecar === undefined || namespaceOf(key) !== namespace) continue;
      if (!dialledOtherwise.has(`${mesh.workload.kind}/${mesh.workload.name}`)) continue;
      for (const address of this.#destinations.concerning(key)) addresses.add(address);
    }
    this.#rendered.forget(addresses);
    this.#number += 1;
    if (after === undefined) this.#settings.onRecordGone(namespace);
    else this.#settings.onRecord({ namespace, resourceVersion: after.resourceVersion, state: this.#number });
    this.#settings.onChange([...addresses, subjects.namespace(namespace)]);
  }

  #note({ key, before, after }: Change<MeshService>): void {
    const namespace = namespaceOf(key);
    this.#aheadStale.add(namespace);
    const keys = this.#servicesOf.get(namespace) ?? new Set<string>();
    if (after === undefined) keys.delete(key);
    else if (before === undefined) keys.add(key);
    if (keys.size === 0) this.#servicesOf.delete(namespace);
    else this.#servicesOf.set(namespace, keys);
  }

  /** Names of the namespace's own Services: what its pods dial first they know already. */
  #aheadOf(namespace: string): readonly string[] {
    const known = this.#ahead.get(namespace);
    if (known !== undefined && !this.#aheadStale.delete(namespace)) return known;
    const names = [...(this.#servicesOf.get(namespace) ?? [])].sort().flatMap((key) => {
      const service = this.#stores.services.get(key);
      return service === undefined ? [] : namesOfService(service);
    });
    const ahead = names.slice(0, MOST_AHEAD);
    // The very same where nothing is another: by that proxies are known to have all of it.
    if (known !== undefined && isDeepStrictEqual(known, ahead)) return known;
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

/** With the very objects of before where they say the same: whatever was rendered of them is right. */
function kept(before: RecordedModes | undefined, after: RecordedModes, changed: ReadonlySet<string>): RecordedModes {
  const workloads = [...after.workloads].map(([key, modes]): [string, WorkloadModes] => [
    key,
    (changed.has(key) ? undefined : before?.workloads.get(key)) ?? modes,
  ]);
  return { ...after, workloads: new Map(workloads) };
}

/** Workloads of which something is not what it was, by `kind/name`. */
function differences(
  before: RecordedModes | undefined,
  after: RecordedModes | undefined,
  of: (modes: PortModes) => unknown,
): Set<string> {
  const text = (modes: RecordedModes | undefined, key: string): string => {
    const found = modes?.workloads.get(key);
    if (found === undefined) return '';
    return JSON.stringify([of(found.others), [...found.ports].map(([port, is]) => [port, of(is)])]);
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
  readonly #subjects: readonly string[];
  readonly #view: PodView;
  /** What was made last, and of what: most changes are of other pods. */
  #pod: { readonly record: PodRecord; readonly is: ProxiedPod | undefined } | undefined;
  #own:
    | { readonly pod: ProxiedPod; readonly modes: WorkloadModes; readonly closed: boolean; readonly is: OwnResources }
    | undefined;
  #seen: Seen | undefined;

  constructor(key: string, uid: string, view: PodView) {
    this.#key = key;
    this.#uid = uid;
    this.#view = view;
    // A pod never moves to another node.
    const node = view.pod()?.mesh?.node ?? '';
    this.#subjects = [subjects.pod(key), subjects.namespace(namespaceOf(key)), subjects.node(node)];
  }

  get ended(): string | undefined {
    return this.#present() === undefined ? `pod ${this.#key} (UID ${this.#uid}) is not there any more` : undefined;
  }

  get subjects(): readonly string[] {
    return this.#subjects;
  }

  get view(): unknown {
    const pod = this.#present();
    if (pod === undefined) return undefined;
    const own = this.#ownOf(pod);
    const { node, zone } = this.#place(pod);
    const ahead = this.#view.ahead();
    const seen = this.#seen;
    if (seen?.own !== own || seen.ahead !== ahead || seen.node !== node || seen.zone !== zone)
      this.#seen = { own, ahead, node, zone };
    return this.#seen;
  }

  all(type: string): Iterable<Resource> {
    const pod = this.#present();
    if (pod === undefined) return [];
    const own = this.#ownOf(pod);
    if (type === types.listener) return own.listeners;
    if (type !== types.cluster) return [];
    const place = this.#place(pod);
    const ahead = this.#view.ahead().flatMap((name) => this.#view.rendered.get(name, place)?.cluster ?? []);
    return [...own.clusters, ...ahead];
  }

  named(type: string, name: string): Resource | undefined {
    const pod = this.#present();
    if (pod === undefined) return undefined;
    const found = this.#view.rendered.get(name, this.#place(pod));
    if (type === types.cluster) return found?.cluster;
    return type === types.endpoints ? found?.endpoints : undefined;
  }

  #present(): ProxiedPod | undefined {
    const record = this.#view.pod();
    if (record === undefined) return undefined;
    if (this.#pod?.record !== record) this.#pod = { record, is: proxied(record, this.#uid) };
    return this.#pod.is;
  }

  #place({ mesh: { node } }: ProxiedPod): Place {
    return { node, zone: this.#view.zone(node) };
  }

  #ownOf(pod: ProxiedPod): OwnResources {
    const { started, workload } = pod.mesh;
    const recorded = this.#view.modes();
    const modes = modesOfWorkload(recorded, workload);
    // In a mode that nobody has decided yet it might take plaintext that it is not to take. Its pod waits for it, but one that has been started before must not be cut off.
    const closed = !started && !isRecorded(recorded, workload);
    if (this.#own?.pod === pod && this.#own.modes === modes && this.#own.closed === closed) return this.#own.is;
    const { clusters, listeners } = this.#render(pod, modes);
    const is = { clusters, listeners: closed ? [] : listeners };
    const before = this.#own?.is;
    this.#own = { pod, modes, closed, is: before !== undefined && areSame(before, is) ? before : is };
    return this.#own.is;
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

/** All that its view is made of, but for what names mean at its place. */
interface Seen {
  readonly own: OwnResources;
  readonly ahead: readonly string[];
  readonly node: string;
  readonly zone: string;
}

function proxied({ mesh, shape }: PodRecord, uid: string): ProxiedPod | undefined {
  if (mesh?.sidecar === undefined || shape === undefined || mesh.uid !== uid) return undefined;
  const { sidecar } = mesh;
  return { shape, mesh: { ...mesh, sidecar } };
}

function areSame(one: OwnResources, other: OwnResources): boolean {
  return areEqual(one.listeners, other.listeners) && areEqual(one.clusters, other.clusters);
}

function areEqual(some: readonly Resource[], others: readonly Resource[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ name, version }, index) => others[index]?.name === name && others[index].version === version)
  );
}
