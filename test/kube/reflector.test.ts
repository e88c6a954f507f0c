import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createReflector,
  identify,
  isNotFound,
  loadConnection,
  resourcePath,
  Store,
  systemClock,
} from '../../src/kube/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { startFaultProxy } from '../faults/proxy.ts';
import { seededRandom } from '../faults/rules.ts';
import { waitFor } from '../support/waitFor.ts';
import {
  type ApiServer,
  type Client,
  CONFIG_MAPS,
  configMap,
  connectionTo,
  createConfigMap,
  createNamespace,
  deleteConfigMap,
  listAll,
  type Mirror,
  type Mirrored,
  NEVER,
  openClient,
  putConfigMap,
  startApiServer,
  startMirror,
  untilEqual,
} from './support.ts';

let server: ApiServer;
let cluster: Cluster;
let client: Client;
let namespace: string;

beforeAll(async () => {
  // What is older than some seconds is compacted away: 410 is a matter of seconds, not of minutes.
  server = await startApiServer(['--etcd-compaction-interval=2s']);
  cluster = server.cluster;
});
afterAll(() => server?.[Symbol.asyncDispose]());
beforeEach(async () => {
  client = openClient(connectionTo(cluster));
  namespace = await createNamespace(client, 'mirror');
});
afterEach(() => client.transport.close());

const truth = (): Promise<Map<string, { resourceVersion: string; value: string }>> => listAll(client, namespace);

/** Creates, changes and deletes at random; what fails because the API server is away just is not written. */
class Writer {
  readonly #random: () => number;
  writes = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  async write(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const name = `object-${Math.floor(this.#random() * 40)}`;
      const path = resourcePath(CONFIG_MAPS, namespace, name);
      const body = configMap(name, `${this.writes} grüße 🎈 ${'x'.repeat(Math.floor(this.#random() * 500))}`);
      const request = { deadlineMs: 2_000, signal: NEVER };
      try {
        if (this.#random() < 0.3) await client.transport.request({ ...request, method: 'DELETE', path });
        else {
          await client.transport.request({ ...request, method: 'PUT', path, body }).catch((error: unknown) => {
            if (!isNotFound(error)) throw error;
            return client.transport.request({
              ...request,
              method: 'POST',
              path: resourcePath(CONFIG_MAPS, namespace),
              body,
            });
          });
        }
        this.writes++;
      } catch (error) {
        if (!isNotFound(error)) await delay(20);
      }
    }
  }
}

describe('an exact mirror', () => {
  test('of what was there, page by page, and of what comes', async () => {
    for (let i = 0; i < 23; i++) await createConfigMap(client, namespace, `there-${i}`, `${i}`);
    await using mirror = startMirror(client, { namespaces: [namespace], pageLimit: 5 });
    expect(mirror.reflector.hasSynced()).toBe(false);
    await mirror.reflector.synced;
    expect(mirror.store.size).toBe(23);
    expect(mirror.reflector.hasSynced()).toBe(true);
    await new Writer(1).write(100);
    await untilEqual(mirror, truth);
  });

  test('of an empty collection', async () => {
    await using mirror = startMirror(client, { namespaces: [namespace] });
    await mirror.reflector.synced;
    expect(mirror.store.size).toBe(0);
  });

  test('of several namespaces with one store, and of nothing else', async () => {
    const other = await createNamespace(client, 'mirror');
    const third = await createNamespace(client, 'mirror');
    for (const ns of [namespace, other, third]) await createConfigMap(client, ns, 'a', ns);
    await using mirror = startMirror(client, { namespaces: [namespace, other] });
    await mirror.reflector.synced;
    expect([...mirror.store.keys()].sort()).toEqual([`${namespace}/a`, `${other}/a`].sort());
    await createConfigMap(client, other, 'b', '1');
    await deleteConfigMap(client, namespace, 'a');
    await waitFor('both namespaces', () => mirror.store.has(`${other}/b`) && !mirror.store.has(`${namespace}/a`));
  });

  test('of what a label selects: an object that loses its label is gone', async () => {
    await createConfigMap(client, namespace, 'ours', '1', { ours: 'yes' });
    await createConfigMap(client, namespace, 'theirs', '1');
    await using mirror = startMirror(client, { namespaces: [namespace], labelSelector: 'ours=yes' });
    await mirror.reflector.synced;
    expect([...mirror.store.keys()]).toEqual([`${namespace}/ours`]);
    const put = (name: string, labels: Record<string, string>) => putConfigMap(client, namespace, name, '2', labels);
    await put('theirs', { ours: 'yes' });
    await put('ours', {});
    await waitFor('the labels to count', () => mirror.store.has(`${namespace}/theirs`) && mirror.store.size === 1);
  });

  test('of all namespaces', async () => {
    await using mirror = startMirror(client);
    await createConfigMap(client, namespace, 'a', '1');
    await untilEqual(mirror, () => listAll(client));
  });
});

describe('our own writes', () => {
  test('are in the store at once, and never give way to what was before', async () => {
    await using mirror = startMirror(client, { namespaces: [namespace] });
    await mirror.reflector.synced;
    const seen: string[] = [];
    mirror.store.subscribe(({ after }) => seen.push(after?.value ?? 'gone'));
    await createConfigMap(client, namespace, 'a', '0');
    for (let i = 1; i <= 50; i++) {
      const answer = await putConfigMap(client, namespace, 'a', `${i}`);
      const resourceVersion = resourceVersionOf(answer);
      mirror.store.observe(`${namespace}/a`, { resourceVersion, value: `${i}` });
      expect(mirror.store.get(`${namespace}/a`)?.value).toBe(`${i}`);
    }
    await untilEqual(mirror, truth);
    const numbers = seen.map(Number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

describe('in step again', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'after the API server was restarted with %s, in the midst of writes',
    async (signal) => {
      await using mirror = startMirror(client, { namespaces: [namespace] });
      await mirror.reflector.synced;
      const writer = new Writer(2);
      const writing = writer.write(150);
      await delay(200);
      await cluster.restartApiServer(signal);
      await writing;
      expect(writer.writes).toBeGreaterThan(10);
      await writer.write(20);
      await untilEqual(mirror, truth);
    },
  );

  test('after etcd was killed and came back', async () => {
    await using mirror = startMirror(client, { namespaces: [namespace] });
    await mirror.reflector.synced;
    await new Writer(3).write(20);
    await cluster.restartEtcd('SIGKILL');
    await waitFor('writes to work again', () => createConfigMap(client, namespace, 'after', '1').then(() => true));
    await new Writer(4).write(20);
    await untilEqual(mirror, truth);
  });

  test('after its past was compacted away while it was cut off: 410 is answered with a LIST', async () => {
    await using proxy = await startFaultProxy({ target: cluster.url, ca: cluster.caPem });
    await using through = openClient(connectionTo({ url: proxy.url, token: cluster.token }));
    await createConfigMap(client, namespace, 'goes', '1');
    await using mirror = startMirror(through, { namespaces: [namespace] });
    await mirror.reflector.synced;
    await proxy.refuse();
    const writer = new Writer(5);
    await writer.write(30);
    await deleteConfigMap(client, namespace, 'goes');
    const stale = [...mirror.store.values()][0]?.resourceVersion ?? '';
    // The watch cache remembers some history; a new server has none, and etcd has dropped it.
    await waitFor('etcd to compact the past', async () => {
      await createConfigMap(client, namespace, `tick-${writer.writes++}`, '1');
      await cluster.restartApiServer();
      return isGone(await watchOnce(stale));
    });
    await proxy.accept();
    await untilEqual(mirror, truth);
    expect(mirror.store.has(`${namespace}/goes`)).toBe(false);
    const text = await through.metrics.registry.metrics();
    expect(text).toMatch(/reflector_watches_total\{name="configmaps",end="gone"\} [1-9]/);
  }, 180_000);

  test('after etcd was restored from a backup: lower resourceVersions are taken, and no key stays as it was', async () => {
    await createConfigMap(client, namespace, 'kept', 'before');
    await createConfigMap(client, namespace, 'changed', 'before');
    const data = join(cluster.directory, 'etcd');
    const backup = join(cluster.directory, 'etcd-backup');
    await cluster.etcd.stop('SIGTERM');
    await cp(data, backup, { recursive: true });
    await cluster.etcd.start();
    await waitFor('the API server', () => listAll(client, namespace).then(() => true));

    await using mirror = startMirror(client, { namespaces: [namespace], idleMs: 3_000 });
    await mirror.reflector.synced;
    for (let i = 0; i < 30; i++) {
      const answer = await putConfigMap(client, namespace, 'changed', `${i}`);
      mirror.store.observe(`${namespace}/changed`, { resourceVersion: resourceVersionOf(answer), value: `${i}` });
    }
    await createConfigMap(client, namespace, 'lost', 'after');
    await untilEqual(mirror, truth);

    await cluster.stopApiServer('SIGKILL');
    await cluster.etcd.stop('SIGKILL');
    await rm(data, { recursive: true });
    await cp(backup, data, { recursive: true });
    await cluster.etcd.start();
    await cluster.startApiServer();
    await untilEqual(mirror, truth);
    expect(mirror.store.get(`${namespace}/changed`)?.value).toBe('before');
    expect(mirror.store.has(`${namespace}/lost`)).toBe(false);
    await putConfigMap(client, namespace, 'changed', 'anew');
    await untilEqual(mirror, truth);
    expect(mirror.store.get(`${namespace}/changed`)?.value).toBe('anew');
  }, 180_000);

  test('after every connection was cut, again and again', async () => {
    await using proxy = await startFaultProxy({ target: cluster.url, ca: cluster.caPem });
    await using through = openClient(connectionTo({ url: proxy.url, token: cluster.token }));
    await using mirror = startMirror(through, { namespaces: [namespace] });
    await mirror.reflector.synced;
    const writing = new Writer(6).write(200);
    for (let i = 0; i < 15; i++) {
      await delay(100);
      proxy.cut();
    }
    await writing;
    await untilEqual(mirror, truth);
  });
});

describe('faults of ours and of objects', () => {
  test('what cannot be decoded is skipped, keeps what was known, and holds nobody up', async () => {
    await createConfigMap(client, namespace, 'good', '1');
    await createConfigMap(client, namespace, 'bad', 'poison');
    await using mirror = startMirror(client, { namespaces: [namespace] });
    await mirror.reflector.synced;
    expect([...mirror.store.keys()]).toEqual([`${namespace}/good`]);
    const put = (name: string, value: string) => putConfigMap(client, namespace, name, value);
    await put('bad', 'fine');
    await waitFor('it to be understood', () => mirror.store.get(`${namespace}/bad`)?.value === 'fine');
    await put('bad', 'poison');
    await put('good', '2');
    await waitFor('the other one', () => mirror.store.get(`${namespace}/good`)?.value === '2');
    expect(mirror.store.get(`${namespace}/bad`)?.value).toBe('fine');
    await deleteConfigMap(client, namespace, 'bad');
    await waitFor('its deletion', () => !mirror.store.has(`${namespace}/bad`));
    const skipped = client.log.lines.filter(({ message }) => message.includes('could not be understood'));
    expect(skipped.map(({ fields }) => fields)).toMatchObject([
      { key: `${namespace}/bad`, error: 'poison' },
      { key: `${namespace}/bad`, error: 'poison' },
    ]);
  });

  test('a collection that may not be read is asked for again until it may', async () => {
    const user = { name: 'nobody' };
    const kubeconfig = await cluster.kubeconfigFor(user);
    await using restricted = openClient(await loadConnection({ kubeconfig }));
    await createConfigMap(client, namespace, 'a', '1');
    await using mirror = startMirror(restricted, { namespaces: [namespace] });
    await delay(500);
    expect(mirror.reflector.hasSynced()).toBe(false);
    await cluster.kubectl([
      'create',
      'role',
      'reader',
      '-n',
      namespace,
      '--verb=get,list,watch',
      '--resource=configmaps',
    ]);
    await cluster.kubectl(['create', 'rolebinding', 'reader', '-n', namespace, '--role=reader', '--user=nobody']);
    await mirror.reflector.synced;
    expect(mirror.store.size).toBe(1);
  });

  test('a kind that is not installed is named in the log, with what to do', async () => {
    const stopper = new AbortController();
    const reflector = createReflector({
      name: 'widgets',
      transport: client.transport,
      resource: { group: 'example.com', version: 'v1', plural: 'widgets' },
      namespaces: 'all',
      decode: () => undefined,
      store: new Store<Mirrored>(),
      clock: systemClock,
      random: Math.random,
      metrics: client.metrics,
      log: client.log,
    });
    const running = reflector.run(stopper.signal);
    const warning = await waitFor('a warning', () => client.log.lines.find(({ level }) => level === 'warn'));
    stopper.abort();
    await running;
    expect(warning).toMatchObject({
      message: 'cannot list',
      fields: {
        error:
          'the API server does not serve widgets of example.com/v1: install the CustomResourceDefinition "widgets.example.com"',
      },
    });
  });

  test('stopping ends it at once, whatever it does', async () => {
    const mirrors: Mirror[] = [startMirror(client), startMirror(client, { namespaces: [namespace] })];
    await mirrors[1]?.reflector.synced;
    for (const mirror of mirrors) await mirror.stop();
    await cluster.stopApiServer();
    const waiting = startMirror(client);
    await delay(300);
    await waiting.stop();
    await cluster.startApiServer();
  });
});

function resourceVersionOf(answer: unknown): string {
  const identity = identify(answer);
  if (!identity) throw new Error('the answer is no object');
  return identity.resourceVersion;
}

/** The first line of a watch from a resourceVersion, or the error that refuses it. */
async function watchOnce(resourceVersion: string): Promise<unknown> {
  const query = { watch: '1', resourceVersion, allowWatchBookmarks: 'true', timeoutSeconds: '1' };
  const path = resourcePath(CONFIG_MAPS, namespace);
  try {
    for await (const line of client.transport.watch({ path, query, signal: NEVER, idleMs: 5_000 })) return line;
  } catch (error) {
    return error;
  }
  return undefined;
}

function isGone(answer: unknown): boolean {
  return /"code":410|"status":410/.test(JSON.stringify(answer) ?? '');
}
