import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { resourcePath, TransportError } from '../../src/kube/index.ts';
import type { Cluster } from '../cluster/index.ts';
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
  NEVER,
  openClient,
  putConfigMap,
  startApiServer,
  startMirror,
  untilEqual,
} from '../kube/support.ts';
import { waitFor } from '../support/waitFor.ts';
import { type FaultProxy, type SeenRequest, startFaultProxy } from './proxy.ts';

let server: ApiServer;
let cluster: Cluster;
let proxy: FaultProxy;
/** Straight to the API server. */
let direct: Client;
/** Through the proxy. */
let client: Client;
let namespace: string;

beforeAll(async () => {
  server = await startApiServer();
  ({ cluster, client: direct } = server);
});
afterAll(() => server?.[Symbol.asyncDispose]());
beforeEach(async () => {
  proxy = await startFaultProxy({ target: cluster.url, ca: cluster.caPem });
  client = openClient(connectionTo({ url: proxy.url, token: cluster.token }));
  namespace = await createNamespace(direct, 'faults');
});
afterEach(async () => {
  await client.transport.close();
  await proxy.close();
});

const configMaps = ({ resource }: SeenRequest): boolean => resource === 'configmaps';
const watches = (request: SeenRequest): boolean => configMaps(request) && request.verb === 'watch';
const truth = () => listAll(direct, namespace);
const path = () => resourcePath(CONFIG_MAPS, namespace);

async function names(): Promise<string[]> {
  return [...(await truth()).keys()].map((key) => key.split('/')[1] ?? '').sort();
}

/** A mirror through the proxy, in step, with its watch open. */
async function mirrorInStep(options: { idleMs?: number } = {}): Promise<Mirror> {
  const mirror = startMirror(client, { namespaces: [namespace], ...options });
  await mirror.reflector.synced;
  await untilEqual(mirror, truth);
  return mirror;
}

describe('without rules', () => {
  test('requests, errors and watches pass unchanged', async () => {
    await createConfigMap(client, namespace, 'a', '1');
    await expect(createConfigMap(client, namespace, 'a', '1')).rejects.toMatchObject({
      status: 409,
      reason: 'AlreadyExists',
    });
    await using mirror = await mirrorInStep();
    await createConfigMap(direct, namespace, 'b', 'grüße 🎈');
    await untilEqual(mirror, truth);
    expect(proxy.counters).toEqual({});
  });
});

describe('requests', () => {
  test('429 is repeated for a write, after the time that the server asked for', async () => {
    const rule = proxy.add({
      fault: { kind: 'status', status: 429, retryAfterSeconds: 1 },
      match: configMaps,
      count: 2,
    });
    await createConfigMap(client, namespace, 'a', '1');
    expect(rule.injected).toBe(2);
    expect(await names()).toEqual(['a']);
  });

  test.each([500, 503])('%i is repeated for a read and reported for a write', async (status) => {
    const rule = proxy.add({ fault: { kind: 'status', status }, match: configMaps, count: 2 });
    expect((await listAll(client, namespace)).size).toBe(0);
    expect(rule.injected).toBe(2);
    proxy.add({ fault: { kind: 'status', status }, match: configMaps, count: 1 });
    await expect(createConfigMap(client, namespace, 'a', '1')).rejects.toMatchObject({ status });
  });

  test('a refused connection is repeated for a write: nothing was sent', async () => {
    await proxy.refuse();
    const created = createConfigMap(client, namespace, 'a', '1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await proxy.accept();
    await created;
    expect(await names()).toEqual(['a']);
  });

  test('`refuse` as a rule closes the port for a while, and a read gets through afterwards', async () => {
    const rule = proxy.add({ fault: { kind: 'refuse', forMs: 400 }, match: configMaps, count: 1 });
    expect((await listAll(client, namespace)).size).toBe(0);
    expect(rule.injected).toBe(1);
  });

  test('a reset before the request arrived is ambiguous for a write, and it has not taken effect', async () => {
    proxy.add({ fault: { kind: 'reset' }, match: configMaps, count: 1 });
    await expect(createConfigMap(client, namespace, 'a', '1')).rejects.toMatchObject({
      kind: 'reset',
      ambiguous: true,
    });
    expect(await names()).toEqual([]);
  });

  test('a lost answer is ambiguous for a write, and it has taken effect; a read is repeated', async () => {
    proxy.add({ fault: { kind: 'lost-answer' }, match: configMaps, count: 1 });
    await expect(createConfigMap(client, namespace, 'a', '1')).rejects.toMatchObject({
      kind: 'reset',
      ambiguous: true,
    });
    expect(await names()).toEqual(['a']);
    proxy.add({ fault: { kind: 'lost-answer' }, match: configMaps, count: 1 });
    expect((await listAll(client, namespace)).size).toBe(1);
  });

  test('a truncated answer is ambiguous for a write; a read is repeated', async () => {
    await createConfigMap(direct, namespace, 'a', '1');
    proxy.add({ fault: { kind: 'truncate' }, match: configMaps, count: 1 });
    await expect(putConfigMap(client, namespace, 'a', '2')).rejects.toMatchObject({
      kind: 'truncated',
      ambiguous: true,
    });
    proxy.add({ fault: { kind: 'truncate' }, match: configMaps, count: 2 });
    expect((await listAll(client, namespace)).get(`${namespace}/a`)?.value).toBe('2');
    expect(proxy.counters).toEqual({ truncate: 3 });
  });

  test('silence ends with the deadline, ambiguous for a write', async () => {
    proxy.add({ fault: { kind: 'silence' }, match: configMaps });
    const request = { path: path(), deadlineMs: 1_500, signal: NEVER };
    const written = client.transport.request({ ...request, method: 'POST', body: configMap('a', '1') });
    await expect(written).rejects.toMatchObject({ kind: 'deadline', ambiguous: true });
    await expect(client.transport.request({ ...request, method: 'GET' })).rejects.toBeInstanceOf(TransportError);
  });

  test('slow bytes arrive whole within the deadline, characters of several bytes too', async () => {
    await createConfigMap(direct, namespace, 'a', 'grüße 🎈');
    const rule = proxy.add({ fault: { kind: 'slow', bytesPerSecond: 2_000 }, match: configMaps });
    expect((await listAll(client, namespace)).get(`${namespace}/a`)?.value).toBe('grüße 🎈');
    const hasty = { method: 'GET', path: path(), deadlineMs: 100, signal: NEVER } as const;
    await expect(client.transport.request(hasty)).rejects.toMatchObject({ kind: 'deadline', ambiguous: false });
    expect(rule.injected).toBeGreaterThanOrEqual(2);
  });

  test('a slow answer under way goes on at full speed once its rule is removed', async () => {
    await createConfigMap(direct, namespace, 'a', '1');
    // At this speed it would take minutes, and its deadline would end it.
    const rule = proxy.add({ fault: { kind: 'slow', bytesPerSecond: 1 }, match: configMaps });
    const listing = listAll(client, namespace);
    await waitFor('the answer to begin', () => rule.injected > 0);
    rule.remove();
    expect((await listing).get(`${namespace}/a`)?.value).toBe('1');
  });
});

describe('a reflector is in step again after', () => {
  /** Lets the fault strike watches, writes meanwhile, heals, and compares. */
  async function survives(mirror: Mirror, strike: () => void | Promise<void>): Promise<void> {
    await createConfigMap(direct, namespace, 'before', '1');
    await untilEqual(mirror, truth);
    await strike();
    for (let i = 0; i < 5; i++) await createConfigMap(direct, namespace, `during-${i}`, `ü${i}`);
    await deleteConfigMap(direct, namespace, 'before');
    await untilEqual(mirror, truth);
    expect(await names()).toEqual(['during-0', 'during-1', 'during-2', 'during-3', 'during-4']);
  }

  /** Waits until the fault has struck so often: a LIST may have brought the mirror in step before. */
  async function struck(mirror: Mirror, kind: string, times: number): Promise<void> {
    await waitFor(`${kind} to strike ${times} times`, () => proxy.counters[kind] === times);
    await untilEqual(mirror, truth);
  }

  test.each([410, 500])('ERROR %i events', async (code) => {
    proxy.add({ fault: { kind: 'watch-error', code }, match: watches, count: 3 });
    await using mirror = await mirrorInStep();
    await survives(mirror, () => {
      proxy.add({ fault: { kind: 'watch-error', code, afterEvents: 1 }, match: watches, count: 2 });
      proxy.cut();
    });
    // Each of the last two waits for an event to pass before it strikes.
    for (let i = 0; (proxy.counters['watch-error'] ?? 0) < 5; i++) {
      await createConfigMap(direct, namespace, `more-${i}`, '1');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await untilEqual(mirror, truth);
    // 410 alone means that the past is gone, and the collection must be listed.
    const text = await client.metrics.registry.metrics();
    const lists = /reflector_lists_total\{name="configmaps",outcome="complete"\} (\d+)/.exec(text)?.[1];
    if (code === 410) expect(Number(lists)).toBeGreaterThanOrEqual(5);
    else expect(lists).toBe('1');
  });

  test('watches that fall silent, at once or after an event', async () => {
    proxy.add({ fault: { kind: 'silence' }, match: watches, count: 1 });
    await using mirror = await mirrorInStep({ idleMs: 700 });
    await survives(mirror, () => {
      proxy.add({ fault: { kind: 'silence', afterEvents: 1 }, match: watches, count: 2 });
      proxy.cut();
    });
    await struck(mirror, 'silence', 3);
  });

  test('lines that are cut in the middle', async () => {
    await using mirror = await mirrorInStep();
    await survives(mirror, () => {
      proxy.add({ fault: { kind: 'truncate' }, match: watches, count: 4 });
      proxy.cut();
    });
    await struck(mirror, 'truncate', 4);
  });

  test('slow bytes', async () => {
    await using mirror = await mirrorInStep();
    await survives(mirror, () => {
      proxy.add({ fault: { kind: 'slow', bytesPerSecond: 3_000 }, match: watches });
      proxy.cut();
    });
  });

  test('connections that are reset, and a port that is closed', async () => {
    await using mirror = await mirrorInStep();
    await survives(mirror, () => proxy.cut());
    await survives2(mirror);
  });

  async function survives2(mirror: Mirror): Promise<void> {
    await proxy.refuse();
    await createConfigMap(direct, namespace, 'while-refused', '1');
    await proxy.accept();
    await untilEqual(mirror, truth);
  }

  test.each([401, 403, 429, 500, 503])('a watch refused with %i', async (status) => {
    await using mirror = await mirrorInStep();
    await survives(mirror, () => {
      proxy.add({ fault: { kind: 'status', status }, match: watches, count: 3 });
      proxy.cut();
    });
    await struck(mirror, `status-${status}`, 3);
  });

  test('410 for the token of a next page', async () => {
    for (let i = 0; i < 12; i++) await createConfigMap(direct, namespace, `many-${i}`, '1');
    const expired = proxy.add({
      fault: { kind: 'status', status: 410 },
      match: ({ query }) => query.has('continue'),
      count: 2,
    });
    // The reflector's page is larger than this collection: the proxy cuts it down as the server would.
    await using mirror = startMirror(client, { namespaces: [namespace], pageLimit: 5 });
    await untilEqual(mirror, truth);
    expect(expired.injected).toBe(2);
  });

  test('every fault at once, by chance', async () => {
    const everything = startFaults();
    await using mirror = startMirror(client, { namespaces: [namespace], idleMs: 1_000 });
    for (let i = 0; i < 60; i++) {
      await createConfigMap(direct, namespace, `chance-${i}`, `${i}`);
      if (i % 3 === 0) await deleteConfigMap(direct, namespace, `chance-${i}`);
      if (i % 10 === 9) proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    everything();
    await proxy.heal();
    proxy.cut();
    await untilEqual(mirror, truth);
  });

  function startFaults(): () => void {
    const faults = [
      { kind: 'status', status: 429 },
      { kind: 'status', status: 503 },
      { kind: 'reset' },
      { kind: 'lost-answer' },
      { kind: 'truncate' },
      { kind: 'silence', afterEvents: 1 },
      { kind: 'watch-error', afterEvents: 1 },
      { kind: 'refuse', forMs: 100 },
      { kind: 'slow', bytesPerSecond: 10_000 },
    ] as const;
    const rules = faults.map((fault) => proxy.add({ fault, match: configMaps, probability: 0.08 }));
    return () => {
      for (const rule of rules) rule.remove();
    };
  }
});
