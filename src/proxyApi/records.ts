/** What proxy-api keeps of further kinds. */
import { asRecord, asString, isRecord, stringAt, stringMap } from '../kube/index.ts';
import { canonicalAddress, decodeMeshService, type MeshService } from '../mesh/index.ts';
import type { NodeRecord } from './meshState.ts';

export interface NamespaceRecord {
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A Service, and which of its pods' ports speak first. */
export interface ServiceEntry extends MeshService {
  readonly greeting: Greeting | undefined;
}

export interface Greeting {
  readonly selector: Readonly<Record<string, string>>;
  /** Container ports, by number or name. */
  readonly targets: readonly (number | string)[];
}

/** Application protocols, as IANA calls them, in which the server speaks first. */
const greetingProtocols: ReadonlySet<string> = new Set([
  ...['ftp', 'imap', 'irc', 'mariadb', 'mysql', 'mysqlx', 'nntp', 'pop3', 'rfb', 'sieve', 'smtp', 'ssh', 'submission'],
]);

export function decodeServiceEntry(object: unknown): { key: string; value: ServiceEntry } {
  const { key, value } = decodeMeshService(object);
  return { key, value: { ...value, greeting: greetingOf(object, value) } };
}

function greetingOf(object: unknown, { ports }: MeshService): Greeting | undefined {
  const targets = ports
    .filter(({ appProtocol }) => appProtocol !== undefined && greetingProtocols.has(appProtocol.toLowerCase()))
    .map(({ target }) => target);
  const { spec } = asRecord(object);
  const { selector } = isRecord(spec) ? spec : {};
  if (targets.length === 0 || !isRecord(selector) || Object.keys(selector).length === 0) return undefined;
  return { selector: { ...stringMap(selector) }, targets };
}

export function decodeNamespace(object: unknown): { key: string; value: NamespaceRecord } {
  const metadata = asRecord(asRecord(object)['metadata']);
  const value = {
    resourceVersion: asString(metadata['resourceVersion']),
    labels: { ...stringMap(metadata['labels']) },
  };
  return { key: asString(metadata['name']), value };
}

export function decodeNode(object: unknown): { key: string; value: NodeRecord } {
  const { metadata: rawMetadata, status } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const zone = stringAt(metadata['labels'], 'topology.kubernetes.io/zone') ?? '';
  const resourceVersion = asString(metadata['resourceVersion']);
  return { key: asString(metadata['name']), value: { resourceVersion, zone, addresses: addressesOf(status) } };
}

/** Names of hosts stand there, too. */
function addressesOf(status: unknown): readonly string[] {
  const entries: unknown = isRecord(status) ? status['addresses'] : undefined;
  if (!Array.isArray(entries)) return [];
  const found = entries.flatMap((entry: unknown) => canonicalAddress(stringAt(entry, 'address') ?? '') ?? []);
  return [...new Set(found)];
}

/** Ports of the Services that lead to a pod and whose servers speak first. */
export function greetingsFor(
  entries: Iterable<ServiceEntry>,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): (number | string)[] {
  const found: (number | string)[] = [];
  for (const { greeting, namespace: where } of entries) {
    if (greeting === undefined || where !== namespace) continue;
    if (Object.entries(greeting.selector).every(([key, value]) => labels[key] === value))
      found.push(...greeting.targets);
  }
  return found;
}
