/** What is kept of an EndpointSlice: some endpoints of one Service, and whether they may be spoken to. Hundreds of thousands of endpoints have to fit. */
import { asRecord, asString, type Decoded, property, stringAt, type Versioned } from '../kube/index.ts';
import { canonicalAddress, type Family, familyOf } from './address.ts';
import { internAt, portNumber } from './service.ts';

export interface SlicePort {
  /** Of the Service's port; '' where that has none. */
  readonly name: string;
  readonly number: number;
}

export interface SliceEndpoint {
  /** Canonical. */
  readonly address: string;
  /**
   * namespace/name of the pod that it is at one of the addresses in its status; '' where that is not said: of what others keep, as for a second network of pods or what lies outside, neither
   * may be true.
   */
  readonly pod: string;
  /** Ready to be spoken to: it serves and is not about to end, or the Service publishes those that are not ready. */
  readonly ready: boolean;
  /** It can answer, even if it is about to end. */
  readonly serving: boolean;
  readonly terminating: boolean;
  /** '' where that is unknown. */
  readonly node: string;
  readonly zone: string;
  /** Whose clients it is meant for; none: there are no hints. */
  readonly forZones: readonly string[];
  readonly forNodes: readonly string[];
}

export interface MeshEndpointSlice extends Versioned {
  /** namespace/name of its Service. */
  readonly service: string;
  readonly family: Family;
  /** TCP only. */
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

const SERVICE_NAME = 'kubernetes.io/service-name';
/** Slices of headless Services have it. kube-proxy does not ask for these. */
const HEADLESS = 'service.kubernetes.io/headless';
/** Who keeps it. */
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
/** Kubernetes itself, which writes of a pod what stands in its status. */
const KUBERNETES = 'endpointslice-controller.k8s.io';
const NO_HINTS: readonly string[] = [];

/**
 * @returns undefined where it tells nothing of where a Service leads: its addresses are names, it belongs to no Service, or to one that is headless.
 * @throws Error where the object is not an EndpointSlice by its outline.
 */
export function decodeEndpointSlice(object: unknown): Decoded<MeshEndpointSlice> | undefined {
  const { metadata: rawMetadata, addressType, ports, endpoints } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const namespace = asString(metadata['namespace']);
  const { labels } = metadata;
  const service = stringAt(labels, SERVICE_NAME) ?? '';
  if (service === '' || property(labels, HEADLESS) !== undefined) return undefined;
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return undefined;
  const ofPods = stringAt(labels, MANAGED_BY) === KUBERNETES;
  const value: MeshEndpointSlice = {
    resourceVersion: asString(metadata['resourceVersion']),
    service: `${namespace}/${service}`,
    family: addressType,
    ports: list(ports).flatMap((entry) => portOf(entry) ?? []),
    endpoints: list(endpoints).flatMap((entry) => endpointOf(entry, addressType, ofPods ? namespace : undefined) ?? []),
  };
  return { key: `${namespace}/${asString(metadata['name'])}`, value };
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A port without a number stands for all of them, which kube-proxy does not know what to do with either. */
function portOf(entry: unknown): SlicePort | undefined {
  const number = portNumber(property(entry, 'port'));
  if (number === undefined || (stringAt(entry, 'protocol') ?? 'TCP') !== 'TCP') return undefined;
  return { name: internAt(entry, 'name') ?? '', number };
}

/** @param podsOf the namespace of pods that it may name; undefined: they mean nothing. */
function endpointOf(entry: unknown, family: Family, podsOf: string | undefined): SliceEndpoint | undefined {
  // Nothing is said of what further addresses mean.
  const [text] = list(property(entry, 'addresses'));
  const address = typeof text === 'string' ? canonicalAddress(text) : undefined;
  if (address === undefined || familyOf(address) !== family) return undefined;
  const conditions = property(entry, 'conditions');
  const hints = property(entry, 'hints');
  return {
    address,
    pod: podsOf === undefined ? '' : podOf(property(entry, 'targetRef'), podsOf),
    ready: property(conditions, 'ready') !== false,
    serving: property(conditions, 'serving') !== false,
    terminating: property(conditions, 'terminating') === true,
    node: internAt(entry, 'nodeName') ?? '',
    zone: internAt(entry, 'zone') ?? '',
    forZones: hintsOf(property(hints, 'forZones')),
    forNodes: hintsOf(property(hints, 'forNodes')),
  };
}

function podOf(target: unknown, namespace: string): string {
  const name = stringAt(target, 'name') ?? '';
  if (name === '' || stringAt(target, 'kind') !== 'Pod') return '';
  return `${stringAt(target, 'namespace') || namespace}/${name}`;
}

/** Most are a single name that many endpoints share. */
const single = new Map<string, readonly string[]>();
const MOST_SINGLE = 20_000;

function hintsOf(value: unknown): readonly string[] {
  const names = list(value).map((entry) => internAt(entry, 'name') ?? '');
  const [first] = names;
  if (first === undefined) return NO_HINTS;
  if (names.length > 1) return [...new Set(names)].sort();
  const known = single.get(first) ?? names;
  if (single.size >= MOST_SINGLE) single.clear();
  single.set(first, known);
  return known;
}
