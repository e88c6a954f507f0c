/** What is kept of a Service: by which addresses and ports it is dialled, and how its endpoints are chosen. Tens of thousands have to fit. */
import { intern } from '../inventory/intern.ts';
import {
  asRecord,
  asString,
  type Decoded,
  isRecord,
  numberAt,
  property,
  stringAt,
  type Versioned,
} from '../kube/index.ts';
import { canonicalAddress } from './address.ts';

export interface MeshServicePort {
  readonly number: number;
  /** By which endpoint slices name the port that it leads to; '' where it has none, as a sole port may. */
  readonly name: string;
  /** The container port that it leads to, by number or name. Which number a name has is up to each pod: the slices say. */
  readonly target: number | string;
  readonly appProtocol: string | undefined;
}

export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';

export interface MeshService extends Versioned {
  readonly namespace: string;
  readonly name: string;
  readonly type: ServiceType;
  /** Canonical, of all families. None where kube-proxy has nothing to do with it: headless, ExternalName, or left to another proxy by its label. */
  readonly clusterIPs: readonly string[];
  /** The name that its name stands for; undefined for every type but ExternalName. */
  readonly externalName: string | undefined;
  /** TCP only. */
  readonly ports: readonly MeshServicePort[];
  /** Without one somebody else keeps its endpoints. */
  readonly hasSelector: boolean;
  /** How long a client stays with its endpoint (s), by its address; undefined: not at all. */
  readonly affinitySeconds: number | undefined;
  /** internalTrafficPolicy Local: none but endpoints on the client's node. */
  readonly localOnly: boolean;
  /** As it stands there. kube-proxy looks only at what became of it: the hints in the slices. */
  readonly trafficDistribution: string | undefined;
  /** As it stands there. kube-proxy looks only at what became of it: endpoints that are called ready. */
  readonly publishNotReadyAddresses: boolean;
}

const NO_ADDRESSES: readonly string[] = [];
const NO_PORTS: readonly MeshServicePort[] = [];
/** The API server's default (s), for an object that does not say. */
const AFFINITY_SECONDS = 10_800;
/** By its presence a Service is left to another proxy than kube-proxy. */
const OTHER_PROXY = 'service.kubernetes.io/service-proxy-name';

/** @throws Error where the object is not a Service by its outline. */
export function decodeMeshService(object: unknown): Decoded<MeshService> {
  const { metadata: rawMetadata, spec: rawSpec } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const spec = isRecord(rawSpec) ? rawSpec : {};
  const namespace = intern(asString(metadata['namespace']));
  const name = asString(metadata['name']);
  const type = typeOf(spec);
  const { selector } = spec;
  const isProxied = type !== 'ExternalName' && property(metadata['labels'], OTHER_PROXY) === undefined;
  const value: MeshService = {
    resourceVersion: asString(metadata['resourceVersion']),
    namespace,
    name,
    type,
    clusterIPs: isProxied ? clusterIPsOf(spec) : NO_ADDRESSES,
    externalName: type === 'ExternalName' ? stringAt(spec, 'externalName') : undefined,
    ports: portsOf(spec['ports']),
    hasSelector: isRecord(selector) && Object.keys(selector).length > 0,
    affinitySeconds: affinityOf(spec),
    localOnly: stringAt(spec, 'internalTrafficPolicy') === 'Local',
    trafficDistribution: internAt(spec, 'trafficDistribution'),
    publishNotReadyAddresses: spec['publishNotReadyAddresses'] === true,
  };
  return { key: `${namespace}/${name}`, value };
}

const types: readonly ServiceType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];

function typeOf(spec: unknown): ServiceType {
  const text = stringAt(spec, 'type');
  return types.find((type) => type === text) ?? 'ClusterIP';
}

/** clusterIP is the first of clusterIPs; objects of old have it alone. */
function clusterIPsOf(spec: Readonly<Record<string, unknown>>): readonly string[] {
  const { clusterIPs, clusterIP } = spec;
  const texts: readonly unknown[] = Array.isArray(clusterIPs) && clusterIPs.length > 0 ? clusterIPs : [clusterIP];
  // 'None', of a headless Service, is no address.
  const found = texts.flatMap((text) => (typeof text === 'string' ? (canonicalAddress(text) ?? []) : []));
  return found.length === 0 ? NO_ADDRESSES : [...new Set(found)];
}

function portsOf(list: unknown): readonly MeshServicePort[] {
  if (!Array.isArray(list)) return NO_PORTS;
  const found = list.flatMap((entry: unknown) => portOf(entry) ?? []);
  return found.length === 0 ? NO_PORTS : found;
}

function portOf(entry: unknown): MeshServicePort | undefined {
  const number = portNumber(property(entry, 'port'));
  if (number === undefined || (stringAt(entry, 'protocol') ?? 'TCP') !== 'TCP') return undefined;
  const targetName = internAt(entry, 'targetPort');
  const target = targetName || portNumber(property(entry, 'targetPort')) || number;
  return { number, name: internAt(entry, 'name') ?? '', target, appProtocol: internAt(entry, 'appProtocol') };
}

/** undefined: it is no port that can be dialled. */
export function portNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536 ? value : undefined;
}

export function internAt(value: unknown, name: string): string | undefined {
  const text = stringAt(value, name);
  return text === undefined ? undefined : intern(text);
}

function affinityOf(spec: unknown): number | undefined {
  if (stringAt(spec, 'sessionAffinity') !== 'ClientIP') return undefined;
  return numberAt(property(property(spec, 'sessionAffinityConfig'), 'clientIP'), 'timeoutSeconds') ?? AFFINITY_SECONDS;
}
