/** Pods with the sidecar that injection gives them, on a real kubelet: what the proxies have to do they hear from our configuration server. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptedAt } from '../../src/cli/kubectl/proxy/accepts.ts';
import { askProxy } from '../../src/cli/kubectl/proxy/ask.ts';
import type { Asked } from '../../src/cli/kubectl/proxy/facts.ts';
import { destinationName, podCluster, proxyPorts } from '../../src/envoy/index.ts';
import { containerNames } from '../../src/inject/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { type Client, connectionTo, openClient } from '../kube/support.ts';
import { makeProbeImage, type Node, probeImage, startClusterWithNode } from '../node/index.ts';
import { makeInitImage, makeProxyImage } from '../node/sidecarImages.ts';
import { openTls, type Target, type TlsClient } from '../proxy/clients.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { Mesh, spiffeIdOf } from './mesh.ts';
import { Pods } from './pods.ts';

const NAMESPACE = 'shop';
const HTTP = 8080;
const TCP = 9000;

let cluster: Cluster;
let node: Node;
let mesh: Mesh;
let pods: Pods;
let client: Client;

beforeAll(async () => {
  const images = await Promise.all([makeProxyImage, makeInitImage, makeProbeImage].map((make) => make(printProgress)));
  ({ cluster, node } = await startClusterWithNode({ log: printProgress }));
  for (const image of images) await node.load(image);
  pods = new Pods(cluster, NAMESPACE);
  client = openClient(connectionTo(cluster));
  mesh = await Mesh.start(node.addresses);
  await cluster.kubectl(['create', 'namespace', NAMESPACE]);
  await create(...mesh.service());
  for (const name of ['web', 'cart']) {
    await create(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
      await mesh.secret(name),
    );
  }
  await waitFor('the service account of pods', () => pods.kubectl('get', 'serviceaccount', 'default'));
});

afterAll(async () => {
  await mesh?.leave();
  await client?.transport.close();
  await cluster?.stop();
});

async function create(...objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(list) });
}

function podOf(
  name: string,
  args: readonly string[],
  more: { readonly spec?: object; readonly container?: object } = {},
) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: probeImage, args, ...more.container }],
      ...more.spec,
    },
  };
}

/** It is ready by that probe. */
function serverOf(name: string, probe: object) {
  return podOf(name, ['echo', `http://:${HTTP}`, `tcp://:${TCP}`], {
    spec: { serviceAccountName: 'web' },
    container: {
      ports: [{ name: 'tcp', containerPort: TCP }],
      readinessProbe: { ...probe, periodSeconds: 1 },
    },
  });
}

const answeredAt = (path: string) => ({ httpGet: { path, port: HTTP } });

/** What its proxy says of itself. */
async function ask(name: string): Promise<Asked> {
  return await askProxy(client.transport, { namespace: NAMESPACE, name }, AbortSignal.timeout(30_000));
}

/** Serial number of the certificate that a server shows. */
async function serialAt(target: Target, client: TlsClient): Promise<string> {
  const socket = openTls(target, client);
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}

describe('an injected pod', () => {
  let web: string;

  beforeAll(async () => {
    await create(
      mesh.inject(serverOf('web', answeredAt('/well'))),
      mesh.inject(podOf('cart', ['echo', `tcp://:${TCP}`], { spec: { serviceAccountName: 'cart' } })),
      podOf('stranger', ['echo', `tcp://:${TCP}`]),
    );
    web = await pods.ready('web');
    for (const port of [HTTP, TCP]) {
      const name = destinationName(web, port);
      const peer = { spiffeId: spiffeIdOf('web'), serverFirstPort: undefined };
      mesh.know(name, podCluster(name, { address: web, port, peer }));
    }
    await pods.ready('cart');
    await pods.ready('stranger');
  });

  test('has its redirection before its proxy, and its proxy before its application', async () => {
    const pod = await pods.get('web');
    expect(pod.of(containerNames.init)?.state).toEqual({ terminated: { exitCode: 0 } });
    expect(pod.of(containerNames.proxy)).toMatchObject({ started: true, ready: true, restartCount: 0 });
    expect(pod.of('main')).toMatchObject({ started: true, ready: true, restartCount: 0 });
  });

  test('is known to the configuration server by its UID, its name, its address and its certificate', async () => {
    const { uid, address } = await pods.get('web');
    expect(mesh.claims.get('shop/web')).toEqual({ id: uid, cluster: 'shop/web', address, spiffeId: spiffeIdOf('web') });
  });

  test('is asked by kubelet through its proxy whether it is ready', async () => {
    expect((await pods.get('web')).readinessProbe).toMatchObject({ httpGet: { port: proxyPorts.probes } });
    expect(await pods.kubectl('logs', 'web', '-c', 'main')).toContain('GET /well from 127.0.0.7\n');
  });

  test('is ready by TCP, too', async () => {
    await create(mesh.inject(serverOf('by-tcp', { tcpSocket: { port: 'tcp' } })));
    await pods.ready('by-tcp');
  });

  test.each([
    ['says that it is not well', 'unwell', answeredAt('/unwell'), 'statuscode: 500'],
    ['does not listen', 'deaf', { tcpSocket: { port: 7777 } }, 'statuscode: 503'],
  ])('is not ready while its application %s', async (_, name, probe, complaint) => {
    await create(mesh.inject(serverOf(name, probe)));
    await waitFor('kubelet to hear it', async () => (await pods.complaints(name, complaint)) > 0);
    const pod = await pods.get(name);
    expect([pod.ready, pod.of(containerNames.proxy)?.started, pod.of('main')?.started]).toEqual([false, true, true]);
  });

  test('answers plaintext from a pod without a sidecar in Permissive', async () => {
    expect(await answersTo('stranger')).toEqual(['200 GET / from 127.0.0.6', 'question from 127.0.0.6']);
  });

  describe('in Strict', () => {
    beforeAll(async () => {
      await mesh.turn('Strict');
      // What an Envoy has taken its workers do a moment later.
      await waitFor(
        'the proxy to act by it',
        async () => (await pods.visit('stranger', `tcp://${web}:${TCP}`)) === 'closed',
      );
    });

    test('refuses plaintext from a pod without a sidecar', async () => {
      const before = await pods.heard('web', 'question');
      expect(await answersTo('stranger')).toEqual(['closed', 'closed']);
      expect(await pods.heard('web', 'question')).toBe(before);
    });

    test('answers a pod with a sidecar, which speaks plaintext and knows nothing of it', async () => {
      expect(await answersTo('cart')).toEqual(['200 GET / from 127.0.0.6', 'question from 127.0.0.6']);
    });

    test('is still asked by kubelet whether it is ready', async () => {
      const before = await pods.heard('web', 'GET /well');
      await waitFor('kubelet to ask again', async () => (await pods.heard('web', 'GET /well')) > before + 1);
      expect((await pods.get('web')).ready).toBe(true);
    });

    test('gives init containers a network', async () => {
      const migrate = { name: 'migrate', image: probeImage, args: ['visit', `http://${web}:${HTTP}/migrate`] };
      const spec = { serviceAccountName: 'cart', initContainers: [migrate] };
      await create(mesh.inject(podOf('migrated', ['echo', `tcp://:${TCP}`], { spec })));
      await pods.ready('migrated');
      expect(await pods.kubectl('logs', 'migrated', '-c', 'migrate')).toContain(': 200 GET /migrate from 127.0.0.6\n');
    });

    test('of a Job is done when its application is', async () => {
      const spec = { serviceAccountName: 'cart', restartPolicy: 'Never' };
      const { metadata, spec: podSpec } = mesh.inject(
        podOf('report', ['visit', `http://${web}:${HTTP}/report`], { spec }),
      );
      const template = { metadata: { annotations: metadata.annotations }, spec: podSpec };
      const job = {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'report', namespace: NAMESPACE },
        spec: { backoffLimit: 0, template },
      };
      await create(job);
      await pods.kubectl('wait', '--for=condition=Complete', 'job/report', '--timeout=90s');
      expect(await pods.kubectl('logs', 'job/report', '-c', 'main')).toContain(': 200 GET /report from 127.0.0.6\n');
      const exitCode = `.status.initContainerStatuses[?(@.name=="${containerNames.proxy}")].state.terminated.exitCode`;
      expect(await pods.kubectl('get', 'pod', '-l', 'job-name=report', '-o', `jsonpath={.items[0]${exitCode}}`)).toBe(
        '0',
      );
    });
  });

  test('shows a renewed certificate as soon as kubelet has it, without a restart', async () => {
    const client = await mesh.identity('cart');
    const shown = async () => await serialAt({ address: web, port: TCP }, { identity: client });
    const before = await shown();
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(await mesh.secret('web')) });
    await waitFor('another certificate', async () => (await shown()) !== before);
    expect((await pods.get('web')).of(containerNames.proxy)?.restartCount).toBe(0);
  });

  test('says itself what it has loaded, and a pod without a sidecar says nothing', async () => {
    const asked = await ask('web');
    if ('unread' in asked) throw new Error(asked.unread);
    expect(acceptedAt(asked.inbound.active?.chains ?? [], TCP)).toBe('MutualTLS');
    const shown = await serialAt({ address: web, port: TCP }, { identity: await mesh.identity('cart') });
    expect(asked.identity.chain?.[0]?.serialNumber).toBe(shown);
    expect(await ask('stranger')).toEqual({ unread: expect.stringMatching(/^it does not listen: /) });
  });

  test('is served again when its proxy has crashed', async () => {
    await node.signal(await pods.containerOf('web', containerNames.proxy), 'SIGKILL');
    await waitFor('another proxy', async () => {
      const proxy = (await pods.get('web')).of(containerNames.proxy);
      return proxy?.restartCount === 1 && proxy.started;
    });
    expect(await answersTo('cart')).toEqual(['200 GET / from 127.0.0.6', 'question from 127.0.0.6']);
    expect((await pods.get('web')).of('main')?.restartCount).toBe(0);
  });

  test('has its proxy while its application ends', async () => {
    const farewell = { preStop: { exec: { command: ['/probe', 'visit', `http://${web}:${HTTP}/farewell`] } } };
    const leaving = podOf('leaving', ['echo', `tcp://:${TCP}`], {
      spec: { serviceAccountName: 'cart' },
      container: { lifecycle: farewell },
    });
    await create(mesh.inject(leaving));
    await pods.ready('leaving');
    await pods.kubectl('delete', 'pod', 'leaving', '--timeout=60s');
    expect(await pods.heard('web', 'GET /farewell from 127.0.0.6')).toBe(1);
  });

  async function answersTo(visitor: string): Promise<string[]> {
    return [await pods.visit(visitor, `http://${web}:${HTTP}/`), await pods.visit(visitor, `tcp://${web}:${TCP}`)];
  }
});

describe('a pod whose configuration server is away', () => {
  beforeAll(async () => {
    await mesh.leave();
    await create(mesh.inject(serverOf('early', answeredAt('/well'))));
  });

  test('waits for it, and its application does not start', async () => {
    await waitFor('kubelet to have asked the proxy', async () => (await pods.complaints('early', 'Startup probe')) > 3);
    const pod = await pods.get('early');
    expect(pod.of(containerNames.init)?.state).toEqual({ terminated: { exitCode: 0 } });
    expect(pod.of(containerNames.proxy)).toMatchObject({ started: false, restartCount: 0, state: { running: {} } });
    expect(pod.of('main')?.state).toEqual({ waiting: { reason: 'PodInitializing' } });
    expect(pod.ready).toBe(false);
  });

  test('is ready when it is back', async () => {
    await mesh.comeBack();
    await pods.ready('early');
  });
});
