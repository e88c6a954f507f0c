/**
 * What a proxy is told of a destination that it asks for: rendered once for all proxies that get the same, and kept until something has changed at that address.
 */
import {
  destinationName,
  type Endpoint,
  type Peer,
  parseDestinationName,
  passThroughCluster,
  podCluster,
  refusedCluster,
  serviceCluster,
  serviceEndpoints,
  types,
} from '../envoy/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import {
  type Candidate,
  candidatesOf,
  canonicalAddress,
  type Destinations,
  familyOf,
  type Place,
  selectEndpoints,
  type Variation,
  variationOf,
} from '../mesh/index.ts';
import { spiffeId } from '../pki/index.ts';
import type { Resource } from '../xds/index.ts';
import type { Encodings } from './encodings.ts';
import { modesOfPort, modesOfWorkload, type RecordedModes } from './recordedModes.ts';

export interface DestinationWorld {
  readonly destinations: Destinations;
  readonly pod: (key: string) => PodRecord | undefined;
  /** Whether an address is in the ranges of pods and Services. */
  readonly inRanges: (address: string) => boolean;
  readonly modes: (namespace: string) => RecordedModes | undefined;
  readonly encodings: Encodings;
  readonly trustDomain: string;
}

export interface DestinationResources {
  readonly cluster: Resource;
  /** Of a Service's address; a pod's cluster has its one endpoint in it. */
  readonly endpoints: Resource | undefined;
}

/** What stands behind an address. */
interface Behind {
  readonly endpoint: Endpoint;
  /** Who answers there by mutual TLS, whether or not it is dialled so now; undefined: it has no sidecar, or that is not in the way. */
  readonly peer: Peer | undefined;
}

interface Known {
  readonly variation: Variation;
  readonly byPlace: Map<string, DestinationResources>;
}

/** Names that are asked for stay known: each is some hundred bytes. Above so many, what is known is worked out anew. */
const MOST = 50_000;

export class RenderedDestinations {
  readonly #world: DestinationWorld;
  readonly #known = new Map<string, Known>();
  /** Names by address. */
  readonly #names = new Map<string, Set<string>>();
  /** Pods that are said to be endpoints and are not known to be there, by addresses of Services. */
  readonly #awaited = new Map<string, Set<string>>();

  constructor(world: DestinationWorld) {
    this.#world = world;
  }

  /** Something may have changed at these addresses. @param addresses canonical. */
  forget(addresses: Iterable<string>): void {
    for (const address of addresses) {
      for (const name of this.#names.get(address) ?? []) this.#known.delete(name);
      this.#names.delete(address);
      this.#awaited.delete(address);
    }
  }

  /** The addresses at which something else may be told now that something is known of a pod. */
  awaiting(pod: string): string[] {
    return [...this.#awaited].flatMap(([address, pods]) => (pods.has(pod) ? [address] : []));
  }

  /** @param place where the proxy is. @returns undefined where the name is none of a destination. */
  get(name: string, place: Place): DestinationResources | undefined {
    const known = this.#known.get(name);
    if (known !== undefined) {
      const found = known.byPlace.get(placeKey(known.variation, place));
      if (found !== undefined) return found;
    }
    const dialled = parseDestinationName(name);
    const address = dialled === undefined ? undefined : canonicalAddress(dialled.address);
    if (dialled === undefined || address === undefined) return undefined;
    const { variation, resources } = this.#render(name, address, dialled.port, place);
    this.#remember(name, address, variation, placeKey(variation, place), resources);
    return resources;
  }

  #remember(name: string, address: string, variation: Variation, place: string, resources: DestinationResources): void {
    if (this.#known.size >= MOST) {
      this.#known.clear();
      this.#names.clear();
      this.#awaited.clear();
    }
    const known = this.#known.get(name) ?? { variation, byPlace: new Map<string, DestinationResources>() };
    known.byPlace.set(place, resources);
    this.#known.set(name, known);
    const names = this.#names.get(address) ?? new Set<string>();
    this.#names.set(address, names.add(name));
  }

  #render(
    name: string,
    address: string,
    port: number,
    place: Place,
  ): { readonly variation: Variation; readonly resources: DestinationResources } {
    const { destinations } = this.#world;
    const found = destinations.find(address, port);
    switch (found.kind) {
      case 'pod':
        return same(this.#cluster(name, 'pod', [this.#behind(address, port)]));
      case 'service': {
        const service = destinations.service(found.service);
        const candidates = candidatesOf(
          destinations.slicesOf(found.service),
          found.port.name,
          familyOf(address),
        ).filter((one) => this.#isThere(one, address));
        const localOnly = service?.localOnly === true;
        const behind = selectEndpoints(candidates, localOnly, place).map((one) => this.#behind(one.address, one.port));
        const sort = service?.affinitySeconds === undefined ? 'service' : 'affinity';
        return { variation: variationOf(candidates, localOnly), resources: this.#cluster(name, sort, behind) };
      }
      case 'node':
        return same({
          cluster: this.#world.encodings.resource(name, `node ${name}`, () => passThroughCluster(name)),
          endpoints: undefined,
        });
      case 'unknown':
        // Closed at once, and told of when it is somebody: an answer that there is none would not be asked for again.
        return same(this.#cluster(name, 'refused', []));
    }
  }

  #cluster(name: string, sort: 'pod' | 'service' | 'affinity' | 'refused', behind: readonly Behind[]) {
    const { encodings, trustDomain } = this.#world;
    const endpoints = behind.map(({ endpoint }) => endpoint);
    const [only] = endpoints;
    if (sort === 'refused' || (sort === 'pod' && only === undefined)) {
      const cluster = encodings.resource(name, `refused ${name}`, () => refusedCluster(name));
      return { cluster, endpoints: undefined };
    }
    if (sort === 'pod' && only !== undefined) {
      const source = `pod ${name} ${JSON.stringify(only)}`;
      return { cluster: encodings.resource(name, source, () => podCluster(name, only)), endpoints: undefined };
    }
    // The cluster depends on who they are, not on where, nor on the mode: pods that come and go, and switches, change the endpoints alone.
    const peers = new Map(behind.flatMap(({ peer }) => (peer === undefined ? [] : [[JSON.stringify(peer), peer]])));
    return {
      cluster: encodings.resource(name, `${sort} ${name} ${[...peers.keys()].sort().join(' ')}`, () =>
        serviceCluster(name, [...peers.values()], trustDomain, sort === 'affinity'),
      ),
      endpoints: encodings.resource(name, `${types.endpoints} ${name} ${JSON.stringify(endpoints)}`, () =>
        serviceEndpoints(name, endpoints),
      ),
    };
  }

  /**
   * Whether an endpoint that is said to be a pod is known as such. What comes by one watch may be ahead of another, and would be taken for somebody without a sidecar, or for the one who had the
   * address before.
   * @param service the address at which it is an endpoint.
   */
  #isThere({ address, endpoint }: Candidate, service: string): boolean {
    // Of another network, as one that a controller of its own has given the pod, no sidecar is in the way.
    if (endpoint.pod === '' || !this.#world.inRanges(address)) return true;
    const record = this.#world.pod(endpoint.pod);
    // Without a place in the mesh it has the network of its host, or has ended.
    if (record !== undefined && record.mesh === undefined) return true;
    if (record?.mesh?.addresses.some((one) => canonicalAddress(one) === address) === true) return true;
    this.#awaited.set(service, (this.#awaited.get(service) ?? new Set()).add(endpoint.pod));
    return false;
  }

  /** How an address is to be spoken to: by mutual TLS where its pod has a sidecar and the port is not Disabled. */
  #behind(address: string, port: number): Behind {
    const { destinations, modes, pod: podOf, trustDomain } = this.#world;
    const key = destinations.podAt(address);
    const mesh = key === undefined ? undefined : podOf(key)?.mesh;
    const plaintext: Endpoint = { address, port, peer: undefined };
    const nobody: Behind = { endpoint: plaintext, peer: undefined };
    if (key === undefined || mesh?.sidecar === undefined) return nobody;
    const namespace = key.slice(0, key.indexOf('/'));
    const { inboundExcluded, serverFirst } = mesh.sidecar;
    if (inboundExcluded.includes(port)) return nobody;
    const peer: Peer = {
      spiffeId: spiffeId({ trustDomain, namespace, serviceAccountName: mesh.account }),
      serverFirstPort: serverFirst.includes(port) ? port : undefined,
    };
    const { clients } = modesOfPort(modesOfWorkload(modes(namespace), mesh.workload), port);
    return { endpoint: clients === 'Plaintext' ? plaintext : { address, port, peer }, peer };
  }
}

/** The address that a name is about, canonical: by it changes are told. Asked for every name of every proxy, so that what is usual has to be quick. */
export function addressOfDestination(name: string): string | undefined {
  const end = name.lastIndexOf(':');
  // Of a destination by IPv4, which is never written in two ways; what is none is not known to anybody.
  if (end > START && name.charCodeAt(START) !== BRACKET) return name.slice(START, end);
  const dialled = parseDestinationName(name);
  return dialled && canonicalAddress(dialled.address);
}

/** Where the address begins, after `dst|`. */
const START = 4;
const BRACKET = '['.charCodeAt(0);

/** Names of a Service's addresses and ports. */
export function namesOfService(service: {
  readonly clusterIPs: readonly string[];
  readonly ports: readonly { readonly number: number }[];
}): string[] {
  return service.clusterIPs.flatMap((address) => service.ports.map(({ number }) => destinationName(address, number)));
}

function same(resources: DestinationResources): {
  readonly variation: Variation;
  readonly resources: DestinationResources;
} {
  return { variation: 'Nothing', resources };
}

function placeKey(variation: Variation, { node, zone }: Place): string {
  switch (variation) {
    case 'Nothing':
      return '';
    case 'Zone':
      return zone;
    case 'Node':
      return `${node} ${zone}`;
  }
}
