/** proxy-api on a real API server: what proxies get of what is there, who gets anything, and what the leader hears of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mtlsRolloutKind } from '../../src/api/index.ts';
import { destinationName } from '../../src/envoy/index.ts';
import { applyPatch, pod as podOf, settings, shop } from '../../src/inject/builders.fixture.ts';
import { inject } from '../../src/inject/index.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { type CorporateCa, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { installOperator, OPERATOR_NAMESPACE } from '../support/operator.ts';
import { grantToProxyApi, mountIdentity, PROXY_API, type ProxyApiProcess, startProxyApi } from '../support/proxyApi.ts';
import { waitFor } from '../support/waitFor.ts';
import { CLUSTER, ENDPOINTS, LISTENER, ReportListener, TestProxy } from '../xds/client.ts';

let cluster: Cluster;
let mesh: CorporateCa;
let directory: string;
let proxyApi: ProxyApiProcess;
let namespace: string;
let namespaces = 0;
const open: { close(): void }[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  await installOperator(cluster);
  await grantToProxyApi(cluster);
  // Without it no pod on it would be an endpoint.
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'a' } },
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(node) });
  mesh = await makeCorporateCa('Mesh');
  directory = mkdtempSync(join(tmpdir(), 'mtls-operator-identity-'));
  mountIdentity(directory, await issueIdentity({ ca: mesh, namespace: OPERATOR_NAMESPACE, account: PROXY_API }));
  // Test proxies connect from this machine, not from addresses of pods.
  proxyApi = await startProxyApi(cluster, directory, ['--ignore-source-addresses']);
});

afterAll(async () => {
  await proxyApi?.stop();
  await cluster?.stop();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  namespaces += 1;
  namespace = `shop-${namespaces}`;
  await cluster.kubectl(['create', 'namespace', namespace]);
  await waitFor('the service account `default`', async () => {
    const found = await cluster.kubectl(['get', 'serviceaccount', '-n', namespace, '-o', 'name']);
    return found.includes('default');
  });
});

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const create = (object: object): Promise<string> =>
  cluster.kubectl(['create', '-n', namespace, '-f', '-'], { input: JSON.stringify(object) });

let addresses = 0;

interface PodMade {
  readonly name: string;
  readonly uid: string;
  readonly address: string;
}

/** A pod as it runs: what kubelet would write is written here. @param started its own containers are, which wait for its sidecar. */
async function runPod(
  name: string,
  { sidecar = true, started = true, annotations = {}, ports = [8080] } = {},
): Promise<PodMade> {
  addresses += 1;
  const address = `10.0.${addresses >> 8}.${addresses & 255}`;
  const labels = { app: name.replace(/-\d+$/, '') };
  const containers = [{ name: 'main', image: 'web:1', ports: ports.map((containerPort) => ({ containerPort })) }];
  const plain = podOf({ containers, serviceAccountName: 'default', nodeName: 'node-1' }, { name, labels, annotations });
  const decision = inject(plain, { ...shop, name: namespace }, settings);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  await create(sidecar ? applyPatch(plain, decision.patch) : plain);
  const running = {
    state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    ready: true,
    started: true,
    restartCount: 0,
    image: 'x',
    imageID: 'x',
  };
  const statusOf = {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    conditions: [{ type: 'Ready', status: started ? 'True' : 'False' }],
    ...(started ? { containerStatuses: [{ name: 'main', ...running }] } : {}),
    ...(sidecar ? { initContainerStatuses: [{ name: 'mtls-proxy', ...running }] } : {}),
  };
  const patch = [
    'patch',
    'pod',
    name,
    '-n',
    namespace,
    '--subresource=status',
    '--type=merge',
    '-p',
    JSON.stringify({ status: statusOf }),
  ];
  await cluster.kubectl(patch);
  const uid = await cluster.kubectl(['get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.metadata.uid}']);
  return { name, uid, address };
}

/** @returns its address. */
async function makeService(
  name: string,
  more: object = {},
  ports: readonly object[] = [{ port: 80, targetPort: 8080 }],
): Promise<string> {
  await create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports, ...more },
  });
  return await cluster.kubectl(['get', 'service', name, '-n', namespace, '-o', 'jsonpath={.spec.clusterIP}']);
}

async function record(workloads: readonly object[]): Promise<string> {
  const apiVersion = 'mtls-operator.io/v1alpha1';
  const object = { apiVersion, kind: 'MTLSRollout', metadata: { name: 'default', namespace }, spec: { workloads } };
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) });
  return await cluster.kubectl([
    'get',
    mtlsRolloutKind.plural,
    'default',
    '-n',
    namespace,
    '-o',
    'jsonpath={.metadata.resourceVersion}',
  ]);
}

const since = '2026-01-01T00:00:00Z';
const settled = (kind: string, name: string, mode: 'Strict' | 'Permissive' | 'Disabled') => ({
  kind,
  name,
  target: mode,
  servers: mode,
  clients: mode === 'Disabled' ? 'Plaintext' : 'MutualTLS',
  phase: 'Settled',
  since,
});

async function connect({ name, uid }: Pick<PodMade, 'name' | 'uid'>, account = 'default'): Promise<TestProxy> {
  const proxy = new TestProxy(proxyApi.ports.port, await issueIdentity({ ca: mesh, namespace, account }));
  open.push(proxy);
  proxy.begin(uid, `${namespace}/${name}`);
  return proxy;
}

/** A proxy that takes everything, as Envoy does. */
async function follow(pod: PodMade): Promise<TestProxy> {
  const proxy = await connect(pod);
  proxy.follow();
  await waitFor('the first clusters', () => proxy.has(CLUSTER, 'inbound'));
  proxy.say({ type_url: LISTENER });
  await waitFor('the listeners', () => proxy.has(LISTENER, 'inbound'));
  return proxy;
}

const chainNames = (proxy: TestProxy): string[] =>
  proxy.get(LISTENER, 'inbound', (listener) => listener.filter_chains.map(({ name }) => name));

describe('a proxy', () => {
  test('gets its own listeners, by the mode that is recorded for its workload, and another one when that changes', async () => {
    const web = await runPod('web-1');
    const proxy = await follow(web);
    expect(chainNames(proxy)).toContain('8080-plaintext');
    await record([settled('Pod', 'web-1', 'Strict')]);
    await waitFor('Strict', () => !chainNames(proxy).includes('8080-plaintext'));
    expect(chainNames(proxy)).toContain('8080-mtls-unmarked');
    await record([settled('Pod', 'web-1', 'Permissive')]);
    await waitFor('Permissive', () => chainNames(proxy).includes('8080-plaintext'));
  });

  test('of a workload without a recorded mode stays closed until there is one, and so does the pod, which waits for it', async () => {
    const web = await runPod('web-1', { started: false });
    const proxy = await connect(web);
    proxy.follow();
    await waitFor('the first clusters', () => proxy.has(CLUSTER, 'inbound'));
    proxy.say({ type_url: LISTENER });
    // Another proxy that has begun later has its listeners: nothing is on its way any more.
    await follow(await runPod('web-2'));
    expect(['inbound', 'outbound', 'probes'].filter((name) => proxy.has(LISTENER, name))).toEqual([]);
    await record([settled('Pod', 'web-1', 'Strict')]);
    await waitFor('the listeners', () => proxy.has(LISTENER, 'inbound') && proxy.has(LISTENER, 'probes'));
    expect(chainNames(proxy)).toContain('8080-mtls-unmarked');
    expect(chainNames(proxy)).not.toContain('8080-plaintext');
  });

  test('is told of a Service by its address, who answers there, and when that changes', async () => {
    const [client, web] = [await runPod('client-1'), await runPod('web-1')];
    const address = await makeService('web');
    const proxy = await follow(client);
    const name = destinationName(address, 80);
    // Its own namespace's Services come unasked.
    await waitFor('the Service’s cluster', () => proxy.has(CLUSTER, name));
    proxy.say({ type_url: ENDPOINTS, resource_names_subscribe: [name] });
    const endpoints = () => proxy.endpoints(name);
    const webPeer = `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/default`;
    await waitFor('its endpoint', () => endpoints().includes(`${web.address}:8080 ${webPeer}`));
    const second = await runPod('web-2', { sidecar: false });
    await waitFor('the other endpoint', () => endpoints().includes(`${second.address}:8080 plaintext`));
    const before = proxy.told(CLUSTER, name);
    await record([settled('Pod', 'web-1', 'Disabled')]);
    await waitFor('plaintext to what is Disabled', () => endpoints().includes(`${web.address}:8080 plaintext`));
    await record([settled('Pod', 'web-1', 'Permissive')]);
    await waitFor('mutual TLS again', () => endpoints().includes(`${web.address}:8080 ${webPeer}`));
    // A switch is told by endpoints alone: a cluster that changes is warmed up by every proxy.
    expect(proxy.told(CLUSTER, name)).toBe(before);
    await cluster.kubectl(['delete', 'pod', 'web-1', '-n', namespace, '--force', '--grace-period=0']);
    await waitFor('one endpoint less', () => endpoints().length === 1);
  });

  test('is told of a pod by its address, and of nobody’s that it is closed', async () => {
    const [client, web] = [await runPod('client-1'), await runPod('web-1')];
    const proxy = await follow(client);
    const [pod, nobody] = [destinationName(web.address, 8080), destinationName('10.255.255.1', 80)];
    proxy.say({ type_url: CLUSTER, resource_names_subscribe: [pod, nobody] });
    await waitFor('both clusters', () => proxy.has(CLUSTER, pod) && proxy.has(CLUSTER, nobody));
    const endpointsIn = (name: string) => proxy.get(CLUSTER, name, (one) => one.load_assignment.endpoints.length);
    expect([endpointsIn(pod), endpointsIn(nobody)]).toEqual([1, 0]);
  });

  test('passes on to where it was going what is for a node’s own address, as for pods with the network of their host', async () => {
    const proxy = await follow(await runPod('client-1'));
    const name = destinationName('10.77.0.1', 9100);
    proxy.say({ type_url: CLUSTER, resource_names_subscribe: [name] });
    const type = () => proxy.get(CLUSTER, name, (one) => one.type);
    await waitFor('that nobody is known there', () => proxy.has(CLUSTER, name) && type() === 'STATIC');
    await cluster.kubectl(['create', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-77' } }),
    });
    const status = JSON.stringify({ status: { addresses: [{ type: 'InternalIP', address: '10.77.0.1' }] } });
    await cluster.kubectl(['patch', 'node', 'node-77', '--subresource=status', '--type=merge', '-p', status]);
    await waitFor('that it is passed on', () => type() === 'ORIGINAL_DST');
  });

  test('reaches a server-first port by the port of proxies', async () => {
    const annotations = { 'mtls-operator.io/server-first-ports': '3306' };
    const [client, db] = [await runPod('client-1'), await runPod('db-1', { annotations, ports: [3306] })];
    const address = await makeService('db', {}, [{ port: 3306 }]);
    const proxy = await follow(client);
    const name = destinationName(address, 3306);
    proxy.say({ type_url: ENDPOINTS, resource_names_subscribe: [name] });
    await waitFor('its endpoint', () => proxy.endpoints(name).some((one) => one.startsWith(`${db.address}:15008 `)));
  });

  test('that is not who it says to be gets nothing', async () => {
    const [web, plain] = [await runPod('web-1'), await runPod('plain-1', { sidecar: false })];
    const ends = async (claim: Pick<PodMade, 'name' | 'uid'>, account?: string) => {
      const proxy = await connect(claim, account);
      return await proxy.end();
    };
    expect(await ends(web, 'other')).toMatchObject({ code: status.PERMISSION_DENIED, details: /sa\/other/ });
    expect(await ends(plain)).toMatchObject({ code: status.PERMISSION_DENIED, details: /no sidecar/ });
    expect(await ends({ name: 'web-1', uid: 'another' })).toMatchObject({ code: status.UNAVAILABLE });
    expect(await ends({ name: 'web-2', uid: web.uid })).toMatchObject({ code: status.UNAVAILABLE });
  });

  test('whose pod is gone is ended', async () => {
    const web = await runPod('web-1');
    const proxy = await follow(web);
    await cluster.kubectl(['delete', 'pod', 'web-1', '-n', namespace, '--force', '--grace-period=0']);
    expect(await proxy.end()).toMatchObject({ code: status.PERMISSION_DENIED, details: /not there any more/ });
  });
});

describe('the leader', () => {
  const listen = async (account = 'mtls-operator'): Promise<ReportListener> => {
    const listener = new ReportListener(
      proxyApi.ports.port,
      await issueIdentity({ ca: mesh, namespace: OPERATOR_NAMESPACE, account }),
    );
    open.push(listener);
    return listener;
  };

  test('hears when each proxy has taken the recorded modes, and when one is gone', async () => {
    const [one, other] = [await runPod('web-1'), await runPod('web-2')];
    const listener = await listen();
    const [first, second] = [await follow(one), await connect(other)];
    const version = await record([settled('Pod', 'web-1', 'Strict')]);
    // Renders from that record, and has its proxy's answer to it.
    await waitFor('the first to have it', () => listener.hasTaken(one.uid, namespace, version));
    // It has asked for nothing but clusters, and answered nothing.
    await second.next();
    expect(listener.hasTaken(other.uid, namespace, version)).toBe(false);
    first.close();
    await waitFor('the first to be gone', () => !listener.knows(one.uid));
  });

  test('hears in Envoy’s words why a proxy refuses something', async () => {
    const web = await runPod('web-1');
    const listener = await listen();
    const proxy = await connect(web);
    const { nonce } = await proxy.next();
    proxy.say({ type_url: CLUSTER, response_nonce: nonce, error_detail: { code: 3, message: 'no such thing' } });
    await waitFor('the refusal', () => listener.refusal(web.uid)?.includes('no such thing') === true);
  });

  test('is nobody else', async () => {
    const stranger = await listen('default');
    await waitFor('the end', () => stranger.ended !== undefined);
    expect(stranger.ended?.code).toBe(status.PERMISSION_DENIED);
  });
});

describe('a replica', () => {
  test('serves with a renewed certificate, and disturbs nobody', async () => {
    const web = await runPod('web-1');
    const proxy = await follow(web);
    mountIdentity(directory, await issueIdentity({ ca: mesh, namespace: OPERATOR_NAMESPACE, account: PROXY_API }));
    await waitFor('the renewed certificate', () =>
      proxyApi.lines.some((line) => line.includes('serving with a renewed certificate')),
    );
    await record([settled('Pod', 'web-1', 'Strict')]);
    await waitFor('Strict', () => chainNames(proxy).includes('8080-mtls-unmarked'));
    await follow(await runPod('web-2'));
  });

  test('that starts anew tells a proxy nothing that it has already', async () => {
    const web = await runPod('web-1');
    await makeService('web');
    const before = await follow(web);
    const held = before.versions();
    expect(held.size).toBeGreaterThan(5);
    await proxyApi.stop();
    proxyApi = await startProxyApi(cluster, directory, ['--ignore-source-addresses']);
    const after = new TestProxy(proxyApi.ports.port, await issueIdentity({ ca: mesh, namespace, account: 'default' }));
    open.push(after);
    after.follow();
    const versionsOf = (type: string) =>
      Object.fromEntries(
        [...held]
          .filter(([key]) => key.startsWith(type))
          .map(([key, version]) => [key.slice(type.length + 1), version]),
      );
    after.say({
      node: { id: web.uid, cluster: `${namespace}/web-1` },
      type_url: CLUSTER,
      initial_resource_versions: versionsOf(CLUSTER),
    });
    after.say({ type_url: LISTENER, initial_resource_versions: versionsOf(LISTENER) });
    await record([settled('Pod', 'web-1', 'Strict')]);
    await waitFor('what has changed', () => after.has(LISTENER, 'inbound'));
    expect([...after.versions().keys()]).toEqual([`${LISTENER} inbound`]);
  });
});
