/** Pods with the sidecar that injection gives them, on a real kubelet: what the proxies have to do they hear from our configuration server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { destinationName, podCluster, proxyPorts } from '../../src/envoy/index.ts';
import { containerNames } from '../../src/inject/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { makeProbeImage, type Node, probeImage, startClusterWithNode } from '../node/index.ts';
import { makeInitImage, makeProxyImage } from '../node/sidecarImages.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { Mesh, spiffeIdOf } from './mesh.ts';

const NAMESPACE = 'shop';
const HTTP = 8080;
const TCP = 9000;

let cluster: Cluster;
let node: Node;
let mesh: Mesh;

beforeAll(async () => {
  const images = await Promise.all([makeProxyImage, makeInitImage, makeProbeImage].map((make) => make(printProgress)));
  ({ cluster, node } = await startClusterWithNode({ log: printProgress }));
  for (const image of images) await node.load(image);
  mesh = await Mesh.start(node.addresses);
  await cluster.kubectl(['create', 'namespace', NAMESPACE]);
  for (const name of ['web', 'cart']) {
    await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } }, await mesh.secret(name));
  }
  await waitFor('the service account of pods', () => kubectl('get', 'serviceaccount', 'default'));
});

afterAll(async () => {
  await mesh?.leave();
  await cluster?.stop();
});

const kubectl = (...args: readonly string[]): Promise<string> => cluster.kubectl([...args, '-n', NAMESPACE]);

async function create(...objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await cluster.kubectl(['create', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(list) });
}

function podOf(
  name: string,
  args: readonly string[],
  more: { readonly spec?: object; readonly container?: object } = {},
) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: probeImage, args, ...more.container }],
      ...more.spec,
    },
  };
}

/** Serves, and is ready when it is answered at that path. */
function serverOf(name: string, account: string, path: string) {
  return podOf(name, ['echo', `http://:${HTTP}`, `tcp://:${TCP}`], {
    spec: { serviceAccountName: account },
    container: { readinessProbe: { httpGet: { path, port: HTTP }, periodSeconds: 1 } },
  });
}

const state = z.object({
  running: z.object({}).optional(),
  waiting: z.object({ reason: z.string() }).optional(),
  terminated: z.object({ exitCode: z.number() }).optional(),
});
const container = z.object({
  name: z.string(),
  started: z.boolean().optional(),
  ready: z.boolean(),
  restartCount: z.number(),
  state,
});
const podSchema = z.object({
  metadata: z.object({ uid: z.string() }),
  spec: z.object({ containers: z.array(z.object({ readinessProbe: z.unknown() })) }),
  status: z.object({
    podIP: z.string().default(''),
    phase: z.string(),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    initContainerStatuses: z.array(container).default([]),
    containerStatuses: z.array(container).default([]),
  }),
});

async function podNamed(name: string) {
  const { metadata, spec, status } = podSchema.parse(JSON.parse(await kubectl('get', 'pod', name, '-o', 'json')));
  const statuses = [...status.initContainerStatuses, ...status.containerStatuses];
  return {
    uid: metadata.uid,
    address: status.podIP,
    readinessProbe: spec.containers[0]?.readinessProbe,
    ready: status.conditions.find(({ type }) => type === 'Ready')?.status === 'True',
    /** The container's status. */
    of: (container: string) => statuses.find((one) => one.name === container),
  };
}

async function ready(name: string): Promise<string> {
  await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s').catch(async (error: unknown) => {
    throw new Error(`${name} is not ready: ${await kubectl('describe', 'pod', name)}`, { cause: error });
  });
  return (await podNamed(name)).address;
}

/** What an application in that pod is answered. */
async function visit(from: string, url: string): Promise<string> {
  const said = await kubectl('exec', from, '-c', 'main', '--', '/probe', 'visit', url);
  return said.trim().slice(`${url}: `.length);
}

/** How often kubelet has found one of the pod's containers unwell, in those words. */
async function complaints(pod: string, words: string): Promise<number> {
  const events = z.object({ items: z.array(z.object({ message: z.string(), count: z.number().nullish() })) });
  const selector = `involvedObject.name=${pod},reason=Unhealthy`;
  const { items } = events.parse(
    JSON.parse(await kubectl('get', 'events', '--field-selector', selector, '-o', 'json')),
  );
  return items.filter(({ message }) => message.includes(words)).reduce((sum, { count }) => sum + (count ?? 1), 0);
}

describe('an injected pod', () => {
  let web: string;

  beforeAll(async () => {
    await create(
      mesh.inject(serverOf('web', 'web', '/well')),
      mesh.inject(podOf('cart', ['echo', `tcp://:${TCP}`], { spec: { serviceAccountName: 'cart' } })),
      podOf('stranger', ['echo', `tcp://:${TCP}`]),
    );
    web = await ready('web');
    for (const port of [HTTP, TCP]) {
      const name = destinationName(web, port);
      const peer = { spiffeId: spiffeIdOf('web'), serverFirstPort: undefined };
      mesh.know(name, podCluster(name, { address: web, port, peer }));
    }
    await ready('cart');
    await ready('stranger');
  });

  test('has its redirection before its proxy, and its proxy before its application', async () => {
    const pod = await podNamed('web');
    expect(pod.of(containerNames.init)?.state).toEqual({ terminated: { exitCode: 0 } });
    expect(pod.of(containerNames.proxy)).toMatchObject({ started: true, ready: true, restartCount: 0 });
    expect(pod.of('main')).toMatchObject({ started: true, ready: true, restartCount: 0 });
  });

  test('is known to the configuration server by its UID, its name, its address and its certificate', async () => {
    const { uid, address } = await podNamed('web');
    expect(mesh.claims.get('shop/web')).toEqual({ id: uid, cluster: 'shop/web', address, spiffeId: spiffeIdOf('web') });
  });

  test('is asked by kubelet through its proxy whether it is ready', async () => {
    expect((await podNamed('web')).readinessProbe).toMatchObject({ httpGet: { port: proxyPorts.probes } });
    expect(await kubectl('logs', 'web', '-c', 'main')).toContain('GET /well from 127.0.0.6\n');
  });

  test('is not ready while its application says that it is not well', async () => {
    await create(mesh.inject(serverOf('unwell', 'web', '/unwell')));
    await waitFor('kubelet to hear it', async () => (await complaints('unwell', 'statuscode: 500')) > 0);
    const pod = await podNamed('unwell');
    expect([pod.ready, pod.of(containerNames.proxy)?.started, pod.of('main')?.started]).toEqual([false, true, true]);
  });

  test('answers plaintext from a pod without a sidecar in Permissive, and refuses it in Strict', async () => {
    const urls = [`http://${web}:${HTTP}/`, `tcp://${web}:${TCP}`];
    const answers = async () => await Promise.all(urls.map((url) => visit('stranger', url)));
    expect(await answers()).toEqual(['200 GET / from 127.0.0.6', 'question from 127.0.0.6']);
    await mesh.turn('Strict');
    expect(await answers()).toEqual(['closed', 'closed']);
  });
});
