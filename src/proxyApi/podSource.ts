/** What the proxy of one pod is to have. */
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
import type { Place } from '../mesh/index.ts';
import type { ProxySource, Resource } from '../xds/index.ts';
import type { RenderedDestinations } from './destinationResources.ts';
import type { Encodings } from './encodings.ts';
import { hasIpv6, inboundOf, type ProxiedPod, probesOfPod } from './inboundOf.ts';
import { isRecorded, modesOfWorkload, type RecordedModes, type WorkloadModes } from './recordedModes.ts';

/** What proxies are told of themselves by; addresses look otherwise. */
export const subjects = {
  pod: (key: string) => `pod ${key}`,
  namespace: (name: string) => `namespace ${name}`,
  node: (name: string) => `node ${name}`,
};

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

/** What is known of the mesh, as far as a pod is concerned. */
export interface PodView {
  readonly pod: () => PodRecord | undefined;
  readonly modes: () => RecordedModes | undefined;
  readonly zone: (node: string) => string;
  readonly ahead: () => readonly string[];
  readonly rendered: RenderedDestinations;
  readonly encodings: Encodings;
  readonly trustDomain: string;
  /** Of pods and Services. */
  readonly ranges: readonly AddressRange[];
}

/** What one proxy is to have. */
export class PodSource implements ProxySource {
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
    const inbound = inboundOf(pod, modes, this.#view.trustDomain);
    const probes = probesOfPod(pod);
    const { encodings, ranges } = this.#view;
    const ipv6 = hasIpv6(pod.mesh);
    const source = (of: string, ...parts: readonly unknown[]): string => `${of} ${JSON.stringify(parts)}`;
    const listeners = [
      encodings.resource('inbound', source('inbound', inbound), () => inboundListener(inbound)),
      encodings.resource('outbound', source('outbound', ipv6), () => outboundListener({ ranges, ipv6 })),
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
