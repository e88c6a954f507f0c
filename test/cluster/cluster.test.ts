import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/waitFor.ts';
import { get } from './http.ts';
import { type Cluster, readVersions, startCluster, type User } from './index.ts';
import { findFreePort } from './port.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(async () => {
  await cluster.stop();
});

const apply = (object: object, as?: User) =>
  cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object), ...(as === undefined ? {} : { as }) });

const configMap = (name: string, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
});

const uidOf = (kind: string, name: string) => cluster.kubectl(['get', kind, name, '-o', 'jsonpath={.metadata.uid}']);

const names = async (of: Cluster, kind: string) =>
  (await of.kubectl(['get', kind, '-o', 'name'])).split('\n').filter((name) => name !== '');

describe('the control plane', () => {
  test('says the version that go.mod pins, as a release does', async () => {
    const version: unknown = JSON.parse(await cluster.kubectl(['get', '--raw', '/version']));
    expect(version).toMatchObject({
      gitVersion: readVersions().kubernetes,
      major: '1',
      minor: expect.stringMatching(/^\d+$/),
    });
  });

  test('keeps its directory to its owner', () => {
    expect(statSync(cluster.directory).mode & 0o777).toBe(0o700);
    expect(statSync(cluster.kubeconfig).mode & 0o777).toBe(0o600);
  });

  test('tells strangers its health and nothing else', async () => {
    const signal = AbortSignal.timeout(30_000);
    const status = async (path: string) => (await get(`${cluster.url}${path}`, { ca: cluster.caPem, signal })).status;
    expect(await status('/readyz')).toBe(200);
    expect(await status('/version')).toBe(401);
    expect(await status('/api/v1/namespaces')).toBe(401);
  });

  test('refuses a user without rights, and writes it down', async () => {
    const alice: User = { name: 'alice', groups: ['builders'] };
    await expect(cluster.kubectl(['get', 'secrets'], { as: alice })).rejects.toThrow(
      /secrets is forbidden: User "alice"/,
    );
    const lines = readFileSync(cluster.auditLog, 'utf8').trimEnd().split('\n');
    const events = lines.map((line): unknown => JSON.parse(line));
    const refused = { level: 'Metadata', verb: 'list', user: { username: 'alice' }, responseStatus: { code: 403 } };
    expect(events).toContainEqual(
      expect.objectContaining({
        ...refused,
        user: expect.objectContaining(refused.user),
        responseStatus: expect.objectContaining(refused.responseStatus),
      }),
    );
  });

  test('gives a user what RBAC binds to its group', async () => {
    await cluster.kubectl(['create', 'rolebinding', 'readers', '--clusterrole=view', '--group=readers']);
    const bob: User = { name: 'bob', groups: ['readers'] };
    expect(await cluster.kubectl(['get', 'configmaps', '-o', 'name'], { as: bob })).toContain('configmap/');
    await expect(cluster.kubectl(['get', 'secrets'], { as: bob })).rejects.toThrow(/forbidden/);
  });

  test('knows a service account by its token', async () => {
    await cluster.kubectl(['create', 'serviceaccount', 'robot']);
    const kubeconfig = await cluster.kubeconfigForServiceAccount({ namespace: 'default', name: 'robot' });
    expect(await cluster.kubectl(['auth', 'whoami'], { kubeconfig })).toContain('system:serviceaccount:default:robot');
  });

  test('lets a node read only what its pods mount, and set no label that others rely on', async () => {
    const node: User = { name: 'system:node:one', groups: ['system:nodes'] };
    await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' } });
    for (const name of ['mounted', 'other'])
      await cluster.kubectl(['create', 'secret', 'generic', name, '--from-literal=a=b']);
    await waitFor('the service account `default`', () => uidOf('serviceaccount', 'default'));
    await apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'on-one', namespace: 'default' },
      spec: {
        nodeName: 'one',
        containers: [{ name: 'main', image: 'none' }],
        volumes: [{ name: 'secret', secret: { secretName: 'mounted' } }],
      },
    });
    // Node authorization: by a graph of what pods reference, which follows a moment later.
    await waitFor('the node to see its secret', () =>
      cluster.kubectl(['get', 'secret', 'mounted', '-o', 'name'], { as: node }),
    );
    await expect(cluster.kubectl(['get', 'secret', 'other'], { as: node })).rejects.toThrow(
      /forbidden.*no relationship found/s,
    );
    await cluster.kubectl(['label', 'node', 'one', 'colour=blue'], { as: node });
    const reserved = cluster.kubectl(['label', 'node', 'one', 'node-restriction.kubernetes.io/zone=safe'], {
      as: node,
    });
    await expect(reserved).rejects.toThrow(/is not allowed to modify labels/); // the NodeRestriction admission plugin
  });

  test('lets nobody block the deletion of what they may not delete', async () => {
    await cluster.kubectl(['create', 'role', 'writer', '--verb=create,get,patch', '--resource=configmaps']);
    await cluster.kubectl(['create', 'rolebinding', 'carol', '--role=writer', '--user=carol']);
    await cluster.kubectl(['create', 'deployment', 'blocked', '--image=none', '--replicas=0']);
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'blocked',
      uid: await uidOf('deployment', 'blocked'),
    };
    const owned = (blockOwnerDeletion: boolean) =>
      configMap('blocker', { ownerReferences: [{ ...owner, blockOwnerDeletion }] });
    await expect(apply(owned(true), { name: 'carol' })).rejects.toThrow(/cannot set blockOwnerDeletion/);
    await apply(owned(false), { name: 'carol' });
  });

  test('collects what a deleted owner leaves behind', async () => {
    await apply(configMap('owner'));
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: await uidOf('configmap', 'owner') };
    await apply(configMap('owned', { ownerReferences: [owner] }));
    await cluster.kubectl(['delete', 'configmap', 'owner']);
    await waitFor('garbage collection', async () => !(await names(cluster, 'configmap')).includes('configmap/owned'));
  });

  test('finishes the deletion of a namespace', async () => {
    await cluster.kubectl(['create', 'namespace', 'short-lived']);
    await cluster.kubectl(['delete', 'namespace', 'short-lived', '--timeout=60s']);
    expect(await names(cluster, 'namespace')).not.toContain('namespace/short-lived');
  });

  test('fills the aggregated roles `edit` and `view`', async () => {
    const rules = await waitFor('the rules of `edit`', async () => {
      const text = await cluster.kubectl(['get', 'clusterrole', 'edit', '-o', 'jsonpath={.rules}']);
      return text.includes('serviceaccounts') && text;
    });
    expect(rules).toContain('impersonate');
  });
});

describe('faults', () => {
  test('stopped, killed and started again, the API server keeps its address and its data', async () => {
    const { url } = cluster;
    await apply(configMap('kept'));
    await cluster.restartApiServer();
    await cluster.restartApiServer('SIGKILL');
    expect(cluster.url).toBe(url);
    expect(await names(cluster, 'configmap')).toContain('configmap/kept');
  });

  test('killed and started again, etcd keeps its data', async () => {
    await apply(configMap('kept-in-etcd'));
    await cluster.restartEtcd('SIGKILL');
    const found = await waitFor('the API server to find etcd again', () => names(cluster, 'configmap'));
    expect(found).toContain('configmap/kept-in-etcd');
  });

  test('a frozen API server is silent until it is woken', async () => {
    const ask = (ms: number) => get(`${cluster.url}/readyz`, { ca: cluster.caPem, signal: AbortSignal.timeout(ms) });
    cluster.apiServer.pause();
    await expect(ask(500)).rejects.toThrow();
    cluster.apiServer.resume();
    expect(await waitFor('an answer', async () => (await ask(2_000)).status)).toBe(200);
  });
});

describe('several clusters', () => {
  test('know nothing of each other, and go without trace', async () => {
    const other = await startCluster({ controllerManager: false, audit: 'off' });
    const { directory } = other;
    const pids = [other.etcd.pid, other.apiServer.pid];
    expect(other.url).not.toBe(cluster.url);
    await apply(configMap('only-here'));
    expect(await names(other, 'configmap')).not.toContain('configmap/only-here');
    // Not even the other's admin may enter.
    await expect(other.kubectl(['get', 'namespaces', '--token', cluster.token])).rejects.toThrow();
    await other.stop();
    expect(existsSync(directory)).toBe(false);
    for (const pid of pids) expect(pid === undefined || existsSync(`/proc/${pid}`)).toBe(false);
  });

  test('take another port when somebody was faster', async () => {
    const taken = createServer();
    const first = await new Promise<number>((resolve) => {
      taken.listen(0, '127.0.0.1', () => {
        const address = taken.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    const second = await findFreePort();
    const ports = [first, second];
    const choosePort = async () => ports.shift() ?? 0;
    await using other = await startCluster({ controllerManager: false, audit: 'off', choosePort });
    expect(other.url).toBe(`https://127.0.0.1:${second}`);
    taken.close();
  });
});
