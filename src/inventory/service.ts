/** What is kept of a Service: which pods it leads to, and how its ports are called there. */
import { asRecord, asString, isRecord, stringAt, stringMap } from '../kube/index.ts';
import { records } from './pod.ts';

export interface ServicePort {
  readonly port: number;
  readonly name: string | undefined;
  /** The container port that it leads to, by number or name. */
  readonly target: number | string;
}

export interface ServiceRecord {
  readonly resourceVersion: string;
  readonly namespace: string;
  readonly name: string;
  /** Labels of the pods; undefined: somebody else keeps its endpoints. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** TCP only. */
  readonly ports: readonly ServicePort[];
}

/** @throws Error where the object is not a Service by its outline. */
export function decodeService(object: unknown): { key: string; value: ServiceRecord } {
  const { metadata: rawMetadata, spec } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const namespace = asString(metadata['namespace']);
  const name = asString(metadata['name']);
  const { selector, ports } = isRecord(spec) ? spec : {};
  const value: ServiceRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    namespace,
    name,
    selector: isRecord(selector) && Object.keys(selector).length > 0 ? stringMap(selector) : undefined,
    ports: records(ports).flatMap((entry) => portOf(entry) ?? []),
  };
  return { key: `${namespace}/${name}`, value };
}

function portOf(entry: Readonly<Record<string, unknown>>): ServicePort | undefined {
  const { port, targetPort } = entry;
  if (typeof port !== 'number' || (stringAt(entry, 'protocol') ?? 'TCP') !== 'TCP') return undefined;
  const target = typeof targetPort === 'number' || typeof targetPort === 'string' ? targetPort : port;
  return { port, name: stringAt(entry, 'name'), target };
}
