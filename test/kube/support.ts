import { randomBytes } from 'node:crypto';
import {
  type Connection,
  createMetrics,
  createReflector,
  createTransport,
  type Decoded,
  identify,
  type Log,
  type Metrics,
  property,
  type Reflector,
  type Resource,
  resourcePath,
  Store,
  stringAt,
  systemClock,
  type UpgradingTransport,
} from '../../src/kube/index.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';

export const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps' };

/** A connection with a bearer token, to an API server or to a proxy before one. */
export function connectionTo(target: { url: string; token: string; caPem?: string }): Connection {
  const credentials = {
    headers: { authorization: `Bearer ${target.token}` },
    tls: target.caPem === undefined ? {} : { ca: target.caPem },
  };
  return { server: target.url, source: 'a test', credentials: () => Promise.resolve(credentials) };
}

/** A log that remembers, for looking at it afterwards. */
export interface KeptLog extends Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[];
}

export function keptLog(): KeptLog {
  const lines: KeptLog['lines'] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields });
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface Client extends AsyncDisposable {
  readonly transport: UpgradingTransport;
  readonly metrics: Metrics;
  readonly log: KeptLog;
}

export interface ClientOptions {
  readonly maxConnections?: number;
  readonly maxAnswerBytes?: number;
}

export function openClient(connection: Connection, options: ClientOptions = {}): Client {
  const metrics = createMetrics({ process: false });
  const log = keptLog();
  const transport = createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics,
    log,
    userAgent: 'mtls-operator-test',
    ...options,
  });
  return { transport, metrics, log, [Symbol.asyncDispose]: () => transport.close() };
}

export interface Mirrored {
  readonly resourceVersion: string;
  readonly value: string;
}

export function decodeConfigMap(object: unknown): Decoded<Mirrored> | undefined {
  const identity = identify(object);
  if (!identity) return undefined;
  const value = stringAt(property(object, 'data'), 'value') ?? '';
  if (value === 'poison') throw new Error(value);
  return { key: identity.key, value: { resourceVersion: identity.resourceVersion, value } };
}

export interface Mirror extends AsyncDisposable {
  readonly store: Store<Mirrored>;
  readonly reflector: Reflector;
  stop(): Promise<void>;
}

/** A reflector of ConfigMaps at work. */
export function startMirror(
  client: Client,
  options: { namespaces?: readonly string[] | 'all'; labelSelector?: string; idleMs?: number; pageLimit?: number } = {},
): Mirror {
  const store = new Store<Mirrored>({ log: client.log });
  const reflector = createReflector<Mirrored>({
    name: 'configmaps',
    transport: client.transport,
    resource: CONFIG_MAPS,
    namespaces: options.namespaces ?? 'all',
    labelSelector: options.labelSelector,
    decode: decodeConfigMap,
    store,
    clock: systemClock,
    random: Math.random,
    metrics: client.metrics,
    log: client.log,
    ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
    ...(options.pageLimit === undefined ? {} : { pageLimit: options.pageLimit }),
  });
  const stopper = new AbortController();
  const running = reflector.run(stopper.signal);
  const stop = async (): Promise<void> => {
    stopper.abort();
    await running;
  };
  return { store, reflector, stop, [Symbol.asyncDispose]: stop };
}

export const NEVER = new AbortController().signal;

/** What the API server itself says, as key → value, by one whole LIST. */
export async function listAll(
  client: Client,
  namespace?: string,
  query?: Record<string, string>,
): Promise<Map<string, Mirrored>> {
  const path = resourcePath(CONFIG_MAPS, namespace);
  const answer = await client.transport.request({ method: 'GET', path, query, signal: NEVER });
  const items = property(answer, 'items');
  const decoded = (Array.isArray(items) ? items : []).flatMap((item) => decodeConfigMap(item) ?? []);
  return new Map(decoded.map(({ key, value }) => [key, value]));
}

/** Waits until the mirror holds exactly what the API server has. */
export async function untilEqual(mirror: Mirror, truth: () => Promise<Map<string, Mirrored>>): Promise<void> {
  await waitFor(
    'the mirror to equal the API server',
    async () => {
      const wanted = await truth();
      const differences = difference(wanted, new Map(mirror.store.entries()));
      if (differences.length > 0) throw new Error(differences.slice(0, 5).join('; '));
      return true;
    },
    { timeoutMs: 60_000, intervalMs: 100 },
  );
}

export function difference(wanted: Map<string, Mirrored>, found: Map<string, Mirrored>): string[] {
  const lines: string[] = [];
  for (const [key, value] of wanted) {
    const own = found.get(key);
    if (!own) lines.push(`${key} is missing`);
    else if (own.resourceVersion !== value.resourceVersion || own.value !== value.value) {
      lines.push(`${key} is ${own.resourceVersion} instead of ${value.resourceVersion}`);
    }
  }
  for (const key of found.keys()) if (!wanted.has(key)) lines.push(`${key} is gone from the API server`);
  return lines;
}

export async function createNamespace(client: Client, prefix: string): Promise<string> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`;
  await client.transport.request({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: { metadata: { name } },
    signal: NEVER,
  });
  return name;
}

export function configMap(name: string, value: string, labels: Record<string, string> = {}): object {
  return { metadata: { name, labels }, data: { value } };
}

export function createConfigMap(
  client: Client,
  namespace: string,
  name: string,
  value: string,
  labels: Record<string, string> = {},
): Promise<unknown> {
  const path = resourcePath(CONFIG_MAPS, namespace);
  return client.transport.request({ method: 'POST', path, body: configMap(name, value, labels), signal: NEVER });
}

export function putConfigMap(
  client: Client,
  namespace: string,
  name: string,
  value: string,
  labels: Record<string, string> = {},
): Promise<unknown> {
  const path = resourcePath(CONFIG_MAPS, namespace, name);
  return client.transport.request({ method: 'PUT', path, body: configMap(name, value, labels), signal: NEVER });
}

export function deleteConfigMap(client: Client, namespace: string, name: string): Promise<unknown> {
  const path = resourcePath(CONFIG_MAPS, namespace, name);
  return client.transport.request({ method: 'DELETE', path, signal: NEVER });
}

/** etcd and an API server for the tests of a file, and a client straight to it. */
export interface ApiServer extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly client: Client;
}

/** @param apiServerFlags more flags for kube-apiserver. */
export async function startApiServer(apiServerFlags: readonly string[] = []): Promise<ApiServer> {
  const cluster = await startCluster({ log: printProgress, controllerManager: false, audit: 'off', apiServerFlags });
  const client = openClient(connectionTo(cluster));
  const end = async (): Promise<void> => {
    await client.transport.close();
    await cluster.stop();
  };
  return { cluster, client, [Symbol.asyncDispose]: end };
}
