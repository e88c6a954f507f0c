/** What every proxy is to have, from what the API server says: kept as that changes, rendered when a proxy asks. */
import { BlockList, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { AddressRange } from '../envoy/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import type { Change, Log, Store } from '../kube/index.ts';
import { Destinations, type MeshEndpointSlice, type MeshNode, type MeshService } from '../mesh/index.ts';
import type { RecordReport } from '../replicas/index.ts';
import type { ProxySource } from '../xds/index.ts';
import { namesOfService, RenderedDestinations } from './destinationResources.ts';
import { Encodings } from './encodings.ts';
import { namespaceOf, PodSource, subjects } from './podSource.ts';
import type { PortModes, RecordedModes, WorkloadModes } from './recordedModes.ts';

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
  /** The record of the namespace is not there any more: what proxies have taken proves nothing until there is another one. */
  readonly onRecordGone: (namespace: string) => void;
}

/** More Services of a namespace are left to be asked for. */
const MOST_AHEAD = 200;

const familyWord = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

export class MeshState {
  readonly #stores: MeshStores;
  readonly #settings: MeshSettings;
  readonly #destinations = new Destinations();
  readonly #encodings = new Encodings();
  readonly #rendered: RenderedDestinations;
  /** By namespace: there is one record in each. */
  readonly #modes = new Map<string, RecordedModes>();
  /** Namespaces whose records are not there any more. */
  readonly #deleted = new Set<string>();
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
    stores.pods.subscribe((change) => {
      this.#changed(
        [...this.#destinations.applyPod(change), ...this.#rendered.awaiting(change.key)],
        isSeen(change) ? [subjects.pod(change.key)] : [],
      );
      this.#forgetDeleted(namespaceOf(change.key));
    });
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
      trustDomain: this.#settings.trustDomain,
      ranges: this.#settings.ranges,
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
    if (after === undefined) {
      // Proxies go on by what it was, and the leader makes it again. Else to delete it would open what is Strict.
      this.#deleted.add(namespace);
      this.#settings.onRecordGone(namespace);
      this.#forgetDeleted(namespace);
      return;
    }
    this.#deleted.delete(namespace);
    const known = this.#modes.get(namespace);
    const changed = differences(known, after, (modes) => modes);
    const dialledOtherwise = differences(known, after, ({ clients }) => clients);
    this.#modes.set(namespace, kept(known, after, changed));
    // How servers accept connections is nothing to whoever dials them.
    const addresses = new Set<string>();
    for (const [key, { mesh }] of this.#stores.pods.entries()) {
      if (mesh?.sidecar === undefined || namespaceOf(key) !== namespace) continue;
      if (!dialledOtherwise.has(`${mesh.workload.kind}/${mesh.workload.name}`)) continue;
      for (const address of this.#destinations.concerning(key)) addresses.add(address);
    }
    this.#rendered.forget(addresses);
    this.#number += 1;
    this.#settings.onRecord({ namespace, resourceVersion: after.resourceVersion, state: this.#number });
    this.#settings.onChange([...addresses, subjects.namespace(namespace)]);
  }

  /** With the last pod of the mesh in its namespace nobody needs it any more. */
  #forgetDeleted(namespace: string): void {
    if (!this.#deleted.has(namespace)) return;
    for (const [key, { mesh }] of this.#stores.pods.entries())
      if (mesh?.sidecar !== undefined && namespaceOf(key) === namespace) return;
    this.#deleted.delete(namespace);
    this.#modes.delete(namespace);
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
  after: RecordedModes,
  of: (modes: PortModes) => unknown,
): Set<string> {
  const text = (modes: RecordedModes | undefined, key: string): string => {
    const found = modes?.workloads.get(key);
    if (found === undefined) return '';
    return JSON.stringify([of(found.others), [...found.ports].map(([port, is]) => [port, of(is)])]);
  };
  const keys = new Set([...(before?.workloads.keys() ?? []), ...after.workloads.keys()]);
  return new Set([...keys].filter((key) => text(before, key) !== text(after, key)));
}
