/**
 * Who is meant by an address that somebody dials: an index over Services, their endpoint slices and pods, kept by their changes. Each change also tells which destinations it concerns, so
 * that those who asked for them can be told anew, and nobody else. Pure: what it answers follows from the objects alone, not from the order in which they came, so that replicas agree.
 */
import { isDeepStrictEqual } from 'node:util';
import type { MeshPod, PodRecord } from '../inventory/index.ts';
import { type Change, compareResourceVersions, type Versioned } from '../kube/index.ts';
import { canonicalAddress, compareText, familyOf } from './address.ts';
import { ByAddress, type Held } from './byAddress.ts';
import type { MeshEndpointSlice } from './endpointSlice.ts';
import type { MeshService, MeshServicePort } from './service.ts';

export type Destination =
  | { readonly kind: 'service'; readonly service: string; readonly port: MeshServicePort }
  | { readonly kind: 'pod'; readonly pod: string }
  /** A node's own, and that of its pods that have the network of their host: none of them has a sidecar. */
  | { readonly kind: 'node' }
  /** Nobody of the cluster that has an address of its own, or a port that its Service does not have. */
  | { readonly kind: 'unknown' };

/** What is kept of a node. */
export interface MeshNode extends Versioned {
  /** Canonical. */
  readonly addresses: readonly string[];
}

const NODE: Destination = { kind: 'node' };
const UNKNOWN: Destination = { kind: 'unknown' };
const NO_SLICES: ReadonlySet<Held<MeshEndpointSlice>> = new Set();

export class Destinations {
  readonly #services = new Map<string, Held<MeshService>>();
  readonly #servicesAt = new ByAddress<MeshService>();
  readonly #slices = new Map<string, Held<MeshEndpointSlice>>();
  readonly #slicesOf = new Map<string, Set<Held<MeshEndpointSlice>>>();
  /** By the addresses of their endpoints. */
  readonly #slicesAt = new ByAddress<MeshEndpointSlice>();
  readonly #pods = new Map<string, Held<PodRecord>>();
  readonly #podsAt = new ByAddress<PodRecord>();
  readonly #nodes = new Map<string, Held<MeshNode>>();
  readonly #nodesAt = new ByAddress<MeshNode>();

  /** @param address as a proxy writes it. */
  find(address: string, port: number): Destination {
    const canonical = canonicalAddress(address);
    if (canonical === undefined) return UNKNOWN;
    // As in the kernel: a cluster IP is translated before anything is sent.
    const service = this.#servicesAt.last(canonical, compareServices);
    if (service !== undefined) {
      const found = service.value.ports.find(({ number }) => number === port);
      return found === undefined ? UNKNOWN : { kind: 'service', service: service.key, port: found };
    }
    const pod = this.#podAt(canonical);
    if (pod !== undefined) return { kind: 'pod', pod: pod.key };
    // Where pods have addresses of the same network, as from some clouds, nodes are in the ranges of the mesh.
    return this.#nodesAt.at(canonical).length > 0 ? NODE : UNKNOWN;
  }

  /** Key of the pod that has an address, as an endpoint of a Service has it. undefined: none, or one with the network of its host. */
  podAt(address: string): string | undefined {
    const canonical = canonicalAddress(address);
    return canonical === undefined ? undefined : this.#podAt(canonical)?.key;
  }

  service(key: string): MeshService | undefined {
    return this.#services.get(key)?.value;
  }

  /** In no particular order. @param service its key. */
  slicesOf(service: string): readonly MeshEndpointSlice[] {
    return [...(this.#slicesOf.get(service) ?? NO_SLICES)].map(({ value }) => value);
  }

  /**
   * The addresses by which a pod may be reached: its own, and those of Services that have it as an endpoint. For what an index of addresses does not see change, as its effective mode.
   * @param pod its key.
   */
  concerning(pod: string): readonly string[] {
    const held = this.#pods.get(pod);
    const own = addressesOf(held?.value).filter((address) => this.#podAt(address) === held);
    return [...this.#with(own)];
  }

  /** @returns the addresses, canonical, for which something may have changed: at any of their ports. */
  applyService({ key, after }: Change<MeshService>): readonly string[] {
    const held = this.#services.get(key);
    const before = held?.value;
    if (isSame(before, after)) {
      if (held !== undefined && after !== undefined) held.value = after;
      return this.#contested(before);
    }
    const was = before?.clusterIPs ?? [];
    const is = after?.clusterIPs ?? [];
    const now = put(this.#services, key, held, after);
    move(this.#servicesAt, held ?? now, was, is);
    return [...new Set([...was, ...is])];
  }

  /** @returns as `applyService`. */
  applySlice({ key, after }: Change<MeshEndpointSlice>): readonly string[] {
    const held = this.#slices.get(key);
    const before = held?.value;
    if (isSame(before, after)) {
      if (held !== undefined && after !== undefined) held.value = after;
      return [];
    }
    const now = put(this.#slices, key, held, after);
    move(this.#slicesAt, held ?? now, endpointsOf(before), endpointsOf(after));
    this.#assign(held ?? now, before?.service, after?.service);
    return [...new Set([...this.#addressesOf(before), ...this.#addressesOf(after)])];
  }

  /** @returns as `applyService`. Whether a pod is ready is of no concern: slices tell that of endpoints, and whoever dials a pod means that pod. */
  applyPod({ key, after: record }: Change<PodRecord>): readonly string[] {
    const after = addressesOf(record).length === 0 ? undefined : record;
    const held = this.#pods.get(key);
    const before = held?.value;
    if (before === undefined && after === undefined) return [];
    const [was, is] = [addressesOf(before), addressesOf(after)];
    const touched = [...new Set([...was, ...is])];
    const owners = touched.map((address) => this.#podAt(address));
    const changed = !isSamePod(before?.mesh, after?.mesh);
    const now = put(this.#pods, key, held, after);
    move(this.#podsAt, held ?? now, was, is);
    const concerned = touched.filter((address, index) => {
      const owner = this.#podAt(address);
      return owner !== owners[index] || (changed && owner !== undefined && owner === now);
    });
    return [...this.#with(concerned)];
  }

  /** @returns as `applyService`. */
  applyNode({ key, after }: Change<MeshNode>): readonly string[] {
    const held = this.#nodes.get(key);
    const was = held?.value.addresses ?? [];
    const is = after?.addresses ?? [];
    const now = put(this.#nodes, key, held, after);
    move(this.#nodesAt, held ?? now, was, is);
    return [...was.filter((address) => !is.includes(address)), ...is.filter((address) => !was.includes(address))];
  }

  #podAt(canonical: string): Held<PodRecord> | undefined {
    return this.#podsAt.last(canonical, comparePods);
  }

  /** Addresses of pods, and those of the Services that have them as endpoints. */
  #with(addresses: readonly string[]): Set<string> {
    const found = new Set(addresses);
    for (const address of addresses) {
      for (const { value } of this.#slicesAt.at(address)) {
        for (const clusterIP of this.#addressesOf(value)) found.add(clusterIP);
      }
    }
    return found;
  }

  /** By which addresses one comes to the endpoints of a slice. */
  #addressesOf(slice: MeshEndpointSlice | undefined): readonly string[] {
    const service = slice && this.#services.get(slice.service)?.value;
    return service?.clusterIPs.filter((address) => familyOf(address) === slice?.family) ?? [];
  }

  /** Of a Service: those that another one claims too. A new resourceVersion may decide between them. */
  #contested(service: MeshService | undefined): readonly string[] {
    return service?.clusterIPs.filter((address) => this.#servicesAt.at(address).length > 1) ?? [];
  }

  #assign(slice: Held<MeshEndpointSlice> | undefined, was: string | undefined, is: string | undefined): void {
    if (slice === undefined || was === is) return;
    if (was !== undefined) {
      const left = this.#slicesOf.get(was);
      left?.delete(slice);
      if (left?.size === 0) this.#slicesOf.delete(was);
    }
    if (is !== undefined) this.#slicesOf.set(is, (this.#slicesOf.get(is) ?? new Set()).add(slice));
  }
}

/** @returns what is held of the key from now on. */
function put<T>(
  all: Map<string, Held<T>>,
  key: string,
  held: Held<T> | undefined,
  after: T | undefined,
): Held<T> | undefined {
  if (after === undefined) {
    all.delete(key);
    return undefined;
  }
  if (held !== undefined) {
    held.value = after;
    return held;
  }
  const made: Held<T> = { key, value: after };
  all.set(key, made);
  return made;
}

function move<T>(index: ByAddress<T>, held: Held<T> | undefined, was: readonly string[], is: readonly string[]): void {
  if (held === undefined) return;
  const kept = new Set(is);
  for (const address of was) if (!kept.has(address)) index.remove(address, held);
  for (const address of kept) index.add(address, held);
}

function endpointsOf(slice: MeshEndpointSlice | undefined): readonly string[] {
  return slice?.endpoints.map(({ address }) => address) ?? [];
}

function addressesOf(pod: PodRecord | undefined): readonly string[] {
  return pod?.mesh?.addresses.flatMap((address) => canonicalAddress(address) ?? []) ?? [];
}

/** Slices are written anew for annotations that nobody here reads. */
function isSame<T extends Versioned>(before: T | undefined, after: T | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  return isDeepStrictEqual({ ...before, resourceVersion: '' }, { ...after, resourceVersion: '' });
}

function isSamePod(before: MeshPod | undefined, after: MeshPod | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  return isDeepStrictEqual({ ...before, ready: false }, { ...after, ready: false });
}

function compareVersions<T extends Versioned>(one: Held<T>, other: Held<T>): number {
  const order = compareResourceVersions(one.value.resourceVersion, other.value.resourceVersion) ?? 0;
  return order || compareText(one.key, other.key);
}

/** Two have a cluster IP only while the end of the older one has not been told yet. */
const compareServices = compareVersions<MeshService>;

/**
 * A new pod may have the address of one that is not gone yet. That one does not run any more, so it is not ready, and it is older; but it may be written to later than the new one, as when a
 * finalizer is taken away.
 */
function comparePods(one: Held<PodRecord>, other: Held<PodRecord>): number {
  const ready = ({ value }: Held<PodRecord>): number => (value.mesh?.ready === true ? 1 : 0);
  const made = ({ value }: Held<PodRecord>): number => value.mesh?.createdAt ?? 0;
  return ready(one) - ready(other) || made(one) - made(other) || compareVersions(one, other);
}
