/**
 * Where a connection to a Service may go, as kube-proxy decides it: `CategorizeEndpoints` and the EndpointSlice cache of k8s.io/kubernetes/pkg/proxy, 1.37. A proxy that chose otherwise
 * would send traffic where nobody expects it the day that a pod gets a sidecar. Pure.
 *
 * What of a Service is no question here, because it has become part of its slices when they are read: `trafficDistribution` is hints (KEP-2433, KEP-4444, KEP-3015), and
 * `publishNotReadyAddresses` is endpoints that are called ready. kube-proxy looks at neither field, and so heeds hints and conditions that somebody else wrote.
 */
import { compareText, type Family } from './address.ts';
import type { MeshEndpointSlice, SliceEndpoint } from './endpointSlice.ts';

/** Where a client is; '' where that is unknown: no endpoint is near it then. */
export interface Place {
  readonly node: string;
  /** Label topology.kubernetes.io/zone of its node. */
  readonly zone: string;
}

export interface EndpointAddress {
  readonly address: string;
  readonly port: number;
}

/** An endpoint at one of its ports, and what is known of it. */
export interface Candidate extends EndpointAddress {
  readonly endpoint: SliceEndpoint;
}

/**
 * Everything that stands behind a port of a Service in one family, each address and port once, in order of address and port. Worked out once for all clients.
 * @param slices of the Service
 * @param port the name of the Service's port: each slice has its own number for it, where pods of different versions call different ports by one name
 */
export function candidatesOf(slices: Iterable<MeshEndpointSlice>, port: string, family: Family): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const { name, number } of slice.ports) {
      if (name !== port) continue;
      for (const endpoint of slice.endpoints) {
        const { address } = endpoint;
        const key = `${address} ${number}`;
        const known = found.get(key);
        if (known === undefined || compareClaims(endpoint, known.endpoint) > 0)
          found.set(key, { address, port: number, endpoint });
      }
    }
  }
  return [...found.values()].sort((one, other) => compareText(one.address, other.address) || one.port - other.port);
}

/**
 * Of two that have one address, positive where the first counts: an endpoint may stand in two slices while it moves, and a new pod may have got the address of one that is ending. The one
 * that is not ending counts. Which of several such, kube-proxy leaves to chance; here it may not depend on the order of slices.
 */
function compareClaims(one: SliceEndpoint, other: SliceEndpoint): number {
  const [first, second] = [rankOf(one), rankOf(other)];
  return first - second || compareText(detailsOf(one), detailsOf(other));
}

function rankOf({ terminating, ready, serving }: SliceEndpoint): number {
  return (terminating ? 0 : 4) + (ready ? 2 : 0) + (serving ? 1 : 0);
}

function detailsOf({ node, pod, zone, forNodes, forZones }: SliceEndpoint): string {
  return JSON.stringify([node, zone, forNodes, forZones, pod]);
}

/**
 * Those that a client may be led to, in the order of the candidates.
 *
 * Ready endpoints; where none is, those that are ending and still serve (KEP-1669). With `internalTrafficPolicy: Local` (KEP-2086) the same among those on the client's node, and nobody
 * else: hints mean nothing then. Without it, where every ready endpoint has a hint for nodes and one of them names the client's, those that name it (KEP-3015); else, where every ready endpoint
 * has a hint for zones and one of them names the client's, those that name it (KEP-2433, KEP-4444); else all.
 * @param localOnly `internalTrafficPolicy: Local`
 */
export function selectEndpoints(
  candidates: readonly Candidate[],
  localOnly: boolean,
  { node, zone }: Place,
): readonly EndpointAddress[] {
  return (localOnly ? localTo(candidates, node) : nearTo(candidates, node, zone)).map(addressOf);
}

/** Of what about the client `selectEndpoints` depends. */
export type Variation =
  /** Every client has the same answer. */
  | 'Nothing'
  /** Clients of one zone have the same answer. */
  | 'Zone'
  /** Clients of one node have the same answer. */
  | 'Node';

/** Says of what the choice depends, so that it is made once for all proxies where it can be, which is nearly always. Never more than it does depend on. */
export function variationOf(candidates: readonly Candidate[], localOnly: boolean): Variation {
  if (localOnly)
    return candidates.some(({ endpoint }) => endpoint.node !== '' && isUsable(endpoint)) ? 'Node' : 'Nothing';
  const ready = candidates.filter(isReady);
  const byZone = divides(ready, 'forZones');
  // A node that no endpoint names falls back to its zone.
  if (areHinted(ready, 'forNodes') && (byZone || divides(ready, 'forNodes'))) return 'Node';
  return byZone ? 'Zone' : 'Nothing';
}

function addressOf({ address, port }: Candidate): EndpointAddress {
  return { address, port };
}

const isReady = ({ endpoint }: Candidate): boolean => endpoint.ready;

const isServingTerminating = ({ endpoint }: Candidate): boolean => endpoint.serving && endpoint.terminating;

const isUsable = ({ ready, serving, terminating }: SliceEndpoint): boolean => ready || (serving && terminating);

function localTo(candidates: readonly Candidate[], node: string): readonly Candidate[] {
  if (node === '') return [];
  return usable(candidates.filter(({ endpoint }) => endpoint.node === node));
}

function usable(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter(isReady);
  return ready.length > 0 ? ready : candidates.filter(isServingTerminating);
}

function nearTo(candidates: readonly Candidate[], node: string, zone: string): readonly Candidate[] {
  const found = usable(candidates);
  // Those that are ending are taken wherever they are.
  if (!found.some(isReady)) return found;
  return hintedFor(found, 'forNodes', node) ?? hintedFor(found, 'forZones', zone) ?? found;
}

type Hints = 'forNodes' | 'forZones';

/** Those that are meant for a place; undefined where hints do not count: one has none, or none names the place. */
function hintedFor(ready: readonly Candidate[], hints: Hints, place: string): readonly Candidate[] | undefined {
  if (!areHinted(ready, hints)) return undefined;
  const found = ready.filter(({ endpoint }) => endpoint[hints].includes(place));
  return found.length > 0 ? found : undefined;
}

function areHinted(ready: readonly Candidate[], hints: Hints): boolean {
  return ready.every(({ endpoint }) => endpoint[hints].length > 0);
}

/** Whether hints that count give some place less than all. */
function divides(ready: readonly Candidate[], hints: Hints): boolean {
  const [first] = ready;
  if (first === undefined || !areHinted(ready, hints)) return false;
  const places = new Set(first.endpoint[hints]);
  return ready.some(({ endpoint }) => {
    const own = new Set(endpoint[hints]);
    return own.size !== places.size || endpoint[hints].some((place) => !places.has(place));
  });
}
