// The life of a release on a real control plane. There is no node here: what the Deployment would start runs beside it, with a token of the chart's service
// account and nothing else, so that what works here works with the permissions of the chart.
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { CommandError } from '../support/command.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';
import { NAMESPACE, nextChart, startController } from './chart.ts';

let cluster: Cluster;
let home: string;
let helm: Helm;
const running: OperatorProcess[] = [];

async function start(): Promise<void> {
  cluster = await startCluster();
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home, cluster);
  for (const namespace of ['shop', 'bank', 'foreign']) await cluster.kubectl(['create', 'namespace', namespace]);
}

async function stop(): Promise<void> {
  for (const operator of running.splice(0)) await operator.stop();
  await cluster?.stop();
  await rm(home, { recursive: true, force: true });
}

const install = (...args: readonly string[]): Promise<string> =>
  helm('install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--create-namespace', ...args);
const upgrade = (chart: string, ...args: readonly string[]): Promise<string> =>
  helm('upgrade', 'mtls-operator', chart, '-n', NAMESPACE, ...args);
const uninstall = (): Promise<string> => helm('uninstall', 'mtls-operator', '-n', NAMESPACE);

async function controller(): Promise<OperatorProcess> {
  const operator = await startController(cluster);
  running.push(operator);
  return operator;
}

async function request(namespace: string, name: string, more: object = {}): Promise<void> {
  const spec = { secretName: name, dnsNames: [`${name}.${namespace}.svc`], ...more };
  const object = {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata: { name, namespace },
    spec,
  };
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) });
}

async function issued(namespace: string, name: string): Promise<X509Certificate> {
  await cluster.kubectl(['wait', '--for=condition=Ready', 'wcert', name, '-n', namespace, '--timeout=60s']);
  const data = await cluster.kubectl(['get', 'secret', name, '-n', namespace, '-o', 'jsonpath={.data.tls\\.crt}']);
  return new X509Certificate(Buffer.from(data, 'base64'));
}

/** A pod template whose one container mounts the Secret. */
const podThatMounts = (secretName: string): object => ({
  containers: [
    { name: 'main', image: 'registry.invalid/none', volumeMounts: [{ name: 'mtls', mountPath: '/var/run/mtls' }] },
  ],
  volumes: [{ name: 'mtls', secret: { secretName } }],
});

/** A Deployment without labels of its own. */
async function deploy(namespace: string, name: string, secretName: string): Promise<void> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: podThatMounts(secretName) };
  const spec = { selector: { matchLabels: labels }, template };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace }, spec };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
}

/** A pod that runs, as far as the API server knows. */
async function runPod(namespace: string, name: string, secretName: string): Promise<void> {
  const account = ['get', 'serviceaccount', 'default', '-n', namespace, '--ignore-not-found', '-o', 'name'];
  await waitFor('the service account `default`', async () => (await cluster.kubectl(account)) !== '');
  const metadata = { name, namespace };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata, spec: podThatMounts(secretName) };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
  const state = { running: { startedAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z') } };
  const container = { name: 'main', state, ready: true, restartCount: 0, image: 'none', imageID: 'none' };
  const patch = JSON.stringify({ status: { phase: 'Running', containerStatuses: [container] } });
  await cluster.kubectl(['patch', 'pod', name, '-n', namespace, '--subresource=status', '--type=merge', '-p', patch]);
}

async function names(...args: readonly string[]): Promise<string[]> {
  const text = await cluster.kubectl(['get', ...args, '-o', 'name']);
  return text.split('\n').filter((line) => line !== '');
}

const account = (name = 'mtls-operator', namespace = NAMESPACE) => `system:serviceaccount:${namespace}:${name}`;

async function may(verb: string, resource: string, namespace: string): Promise<boolean> {
  const kubeconfig = await cluster.kubeconfigForServiceAccount({ namespace: NAMESPACE, name: 'mtls-operator' });
  return await cluster.kubectl(['auth', 'can-i', verb, resource, '-n', namespace], { kubeconfig }).then(
    (text) => text.trim() === 'yes',
    () => false, // kubectl ends with 1 for "no"
  );
}

const auditSchema = z.object({
  verb: z.string(),
  requestURI: z.string(),
  user: z.object({ username: z.string() }),
  responseStatus: z.object({ code: z.number().default(0) }).optional(),
});

/** What the operator has asked of the API server, and with which status it was answered. */
async function requests(): Promise<{ readonly request: string; readonly code: number | undefined }[]> {
  const lines = (await readFile(cluster.auditLog, 'utf8')).split('\n').filter((line) => line !== '');
  return lines
    .map((line) => auditSchema.parse(JSON.parse(line)))
    .filter(({ user }) => user.username === account())
    .map(({ verb, requestURI, responseStatus }) => ({
      request: `${verb} ${requestURI.split('?')[0]}`,
      code: responseStatus?.code,
    }));
}

/** What the API server has refused to the operator. */
async function refusals(): Promise<string[]> {
  return (await requests()).filter(({ code }) => code === 403).map(({ request }) => request);
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
  throw new Error('it succeeded');
}

describe('a release for the whole cluster, from install to reinstall', () => {
  beforeAll(start);
  afterAll(stop);

  /** As of the first certificate. */
  let first: X509Certificate;
  const root = async (): Promise<string> =>
    await cluster.kubectl(['get', 'mca', 'default', '-o', 'jsonpath={.status.root.fingerprint}']);
  let firstRoot: string;

  test('install: what the Deployment starts issues, with the permissions of its account', async () => {
    expect(await install()).toContain('STATUS: deployed');
    await controller();
    await request('shop', 'web');
    first = await issued('shop', 'web');
    firstRoot = await root();
    expect(firstRoot).not.toBe('');
    expect(await refusals()).toEqual([]);
  });

  test('install: the keys of the CAs are in the namespace of the operator and nowhere else', async () => {
    const secrets = await cluster.kubectl([
      'get',
      'secret',
      '-A',
      '-l',
      'mtls-operator.io/purpose=authority',
      '-o',
      'jsonpath={.items[*].metadata.namespace}',
    ]);
    expect(new Set(secrets.split(' '))).toEqual(new Set([NAMESPACE]));
  });

  test('upgrade: another version brings its values and its kinds', async () => {
    const next = await nextChart(home);
    expect(await upgrade(next, '--set', 'replicas=3')).toContain('REVISION: 2');
    const replicas = ['get', 'deployment', '-n', NAMESPACE, '-o', 'jsonpath={.items[*].spec.replicas}'];
    expect(await cluster.kubectl(replicas)).toBe('3');
    const image = [
      'get',
      'deployment',
      '-n',
      NAMESPACE,
      '-o',
      'jsonpath={.items[*].spec.template.spec.containers[*].image}',
    ];
    expect(await cluster.kubectl(image)).toBe('localhost/mtls-operator:0.2.0');
    await waitFor('the new short name', () => names('nextcert', '-n', 'shop'));
    expect((await issued('shop', 'web')).serialNumber).toBe(first.serialNumber);
  });

  test('rollback: everything is as before, and no certificate is touched', async () => {
    await helm('rollback', 'mtls-operator', '1', '-n', NAMESPACE);
    const replicas = ['get', 'deployment', '-n', NAMESPACE, '-o', 'jsonpath={.items[*].spec.replicas}'];
    expect(await cluster.kubectl(replicas)).toBe('2');
    const shortNames = [
      'get',
      'crd',
      'workloadcertificates.mtls-operator.io',
      '-o',
      'jsonpath={.spec.names.shortNames}',
    ];
    expect(await cluster.kubectl(shortNames)).toBe('["wcert"]');
    expect(await helm('history', 'mtls-operator', '-n', NAMESPACE)).toContain('Rollback to 1');
    expect((await issued('shop', 'web')).serialNumber).toBe(first.serialNumber);
  });

  test('uninstall: the kinds, their objects, their policies, the CAs and the Secrets stay, the rest goes', async () => {
    for (const operator of running.splice(0)) await operator.stop();
    expect(await uninstall()).toContain('These resources were kept due to the resource policy');
    expect(await names('wcert', '-n', 'shop')).toEqual(['workloadcertificate.mtls-operator.io/web']);
    expect(await names('mca')).toEqual(['certificateauthority.mtls-operator.io/default']);
    expect(await names('secret', '-n', NAMESPACE, '-l', 'mtls-operator.io/purpose=authority')).toHaveLength(2);
    expect(await names('secret', 'web', '-n', 'shop')).toHaveLength(1);
    expect(await names('validatingadmissionpolicy')).toHaveLength(2);
    expect(await names('validatingadmissionpolicybinding')).toHaveLength(2);
    const label = ['-l', 'app.kubernetes.io/instance=mtls-operator'];
    expect(await names('deployment,service,serviceaccount,role,rolebinding,pdb', '-A', ...label)).toEqual([]);
    expect(await names('clusterrole,clusterrolebinding', ...label)).toEqual([]);
  });

  test('reinstall: the kinds are taken back, and the same CA goes on with the same certificates', async () => {
    await install();
    await controller();
    await request('shop', 'later');
    const later = await issued('shop', 'later');
    expect((await issued('shop', 'web')).serialNumber).toBe(first.serialNumber);
    expect(await root()).toBe(firstRoot);
    expect(later.issuer).toBe(first.issuer);
    expect(await refusals()).toEqual([]);
  });

  test('another release does not take the kinds by mistake, and says so', async () => {
    const other = (...args: readonly string[]) =>
      helm('install', 'other', chartDirectory, '-n', 'foreign', '--dry-run=server', ...args);
    expect(await failure(other())).toContain(
      '"meta.helm.sh/release-name" must equal "other": current value is "mtls-operator"',
    );
    await other('--set', 'crds.enabled=false');
  });

  const beside = (...args: readonly string[]): Promise<string> =>
    helm('install', 'other', chartDirectory, '-n', NAMESPACE, '--set', 'crds.enabled=false', ...args);

  test.each([
    ['', []],
    [' under another name', ['--set', 'nameOverride=identity,fullnameOverride=identity']],
  ])('another release in the same namespace%s is refused: it would serve nothing', async (_, args) => {
    expect(await failure(beside(...args))).toContain(
      'release "mtls-operator" in namespace "mtls-system" runs an mtls-operator already',
    );
    expect(await names('deployment', '-n', NAMESPACE)).toEqual(['deployment.apps/mtls-operator-controller']);
    expect(await helm('list', '-n', NAMESPACE, '--short')).toBe('mtls-operator\n');
  });

  test('another release in the same namespace can follow, whoever else has a Deployment there', async () => {
    for (const operator of running.splice(0)) await operator.stop();
    await uninstall();
    await deploy(NAMESPACE, 'unlabelled', 'none');
    await cluster.kubectl(['create', 'deployment', 'labelled', '--image=registry.invalid/none', '-n', NAMESPACE]);
    expect(await beside()).toContain('STATUS: deployed');
    expect(await names('deployment', '-n', NAMESPACE)).toContain('deployment.apps/other-mtls-operator-controller');
  });
});

describe.each([
  ['the whole cluster', [], 'list /api/v1/pods'],
  ['named namespaces', ['--set', 'namespaces={shop,bank}'], 'list /api/v1/namespaces/shop/pods'],
])('a release with restart.enabled and watchPods.enabled for %s', (_, args, look) => {
  beforeAll(start);
  afterAll(stop);

  const serialNumber = async (): Promise<string> =>
    await cluster.kubectl(['get', 'wcert', 'web', '-n', 'shop', '-o', 'jsonpath={.status.serialNumber}']);

  test('restarts a workload after a renewal, and counts the pods that use the Secret', async () => {
    await install('--set', 'restart.enabled=true,watchPods.enabled=true', ...args);
    await controller();
    await deploy('shop', 'web', 'web');
    await request('shop', 'web', { restart: [{ kind: 'Deployment', name: 'web' }] });
    await issued('shop', 'web');
    await runPod('shop', 'reader', 'web');
    const consumers = ['get', 'wcert', 'web', '-n', 'shop', '-o', 'jsonpath={.status.consumers.pods}'];
    await waitFor('the pod to be counted', async () => (await cluster.kubectl(consumers)) === '1');

    const first = await serialNumber();
    const at = new Date(Date.now() - 1000).toISOString();
    await cluster.kubectl(['annotate', 'wcert', 'web', '-n', 'shop', `mtls-operator.io/renew-at=${at}`]);
    await waitFor('the renewal', async () => (await serialNumber()) !== first);
    const annotation = 'jsonpath={.spec.template.metadata.annotations.restarted-for\\.mtls-operator\\.io/web}';
    const restartedFor = ['get', 'deployment', 'web', '-n', 'shop', '-o', annotation];
    const renewed = await serialNumber();
    await waitFor('the restart', async () => (await cluster.kubectl(restartedFor)) === renewed);
  });

  test('is refused nothing that it asks for', async () => {
    const answered = (await requests()).filter(({ code }) => code === 200).map(({ request }) => request);
    expect(answered).toContain('patch /apis/apps/v1/namespaces/shop/deployments/web');
    expect(answered).toContain(look);
    expect(await refusals()).toEqual([]);
  });
});

describe('a release for named namespaces', () => {
  beforeAll(start);
  afterAll(stop);

  test('says which namespace is missing', async () => {
    expect(await failure(install('--set', 'namespaces={shop,nowhere}'))).toContain(
      'namespaces names "nowhere", and there is no such namespace: create it first, or leave it out',
    );
    expect(await names('crd,clusterrole', '-l', 'app.kubernetes.io/instance=mtls-operator')).toEqual([]);
    expect(await helm('list', '-n', NAMESPACE, '--short')).toBe('');
  });

  test('issues in these', async () => {
    await install('--set', 'namespaces={shop,bank}');
    await controller();
    for (const namespace of ['shop', 'bank', 'foreign']) await request(namespace, 'web');
    await issued('shop', 'web');
    await issued('bank', 'web');
  });

  test('is refused nothing that it asks for', async () => {
    // Of the authority, which has no namespace: Kubernetes keeps these in `default`.
    const events = ['get', 'events.events.k8s.io', '-n', 'default', '-o', 'jsonpath={.items[*].reason}'];
    await waitFor('the events about the authority', async () =>
      (await cluster.kubectl(events)).includes('RootCreated'),
    );
    const aboutWeb = ['get', 'events.events.k8s.io', '-n', 'bank', '-o', 'name'];
    await waitFor('the event about the certificate', async () => (await cluster.kubectl(aboutWeb)) !== '');
    expect(await refusals()).toEqual([]);
  });

  test('leaves the others alone', async () => {
    const status = ['get', 'wcert', 'web', '-n', 'foreign', '-o', 'jsonpath={.status}'];
    expect(await cluster.kubectl(status)).toBe('');
    expect(await names('secret', '-n', 'foreign')).toEqual([]);
  });

  test.each([
    ['get', 'secrets', 'foreign'],
    ['list', 'secrets', 'kube-system'],
    ['create', 'secrets', 'default'],
    ['list', 'workloadcertificates.mtls-operator.io', 'foreign'],
    ['delete', 'secrets', 'shop'],
    ['update', 'leases.coordination.k8s.io', 'shop'],
  ])('its account may not %s %s in %s', async (verb, resource, namespace) => {
    expect(await may(verb, resource, namespace)).toBe(false);
  });

  test.each([
    ['get', 'secrets', 'shop'],
    ['list', 'secrets', NAMESPACE],
    ['delete', 'secrets', NAMESPACE],
    ['create', 'events.events.k8s.io', 'default'],
  ])('its account may %s %s in %s', async (verb, resource, namespace) => {
    expect(await may(verb, resource, namespace)).toBe(true);
  });

  test('an upgrade takes a namespace away, and its permissions with it', async () => {
    expect(await failure(upgrade(chartDirectory, '--set', 'namespaces={shop,nowhere}'))).toContain('"nowhere"');
    expect(await may('get', 'secrets', 'bank')).toBe(true);
    await upgrade(chartDirectory, '--set', 'namespaces={shop}');
    await waitFor('the permission to be gone', async () => !(await may('get', 'secrets', 'bank')));
    expect(await may('get', 'secrets', 'shop')).toBe(true);
  });

  test('an upgrade serves the whole cluster', async () => {
    for (const operator of running.splice(0)) await operator.stop();
    await upgrade(chartDirectory, '--set-json', 'namespaces=[]');
    await waitFor('the permissions', () => may('list', 'secrets', 'foreign'));
    await controller();
    await issued('foreign', 'web');
  });
});

test.each([
  ['issuer', 'identity', [], 'issuer-mtls-operator'],
  ['mtls-operator', NAMESPACE, ['--set', 'serviceAccount.name=signer'], 'signer'],
])('release %s in %s: the policy knows the operator by its account', async (release, namespace, args, name) => {
  await start();
  try {
    await helm('install', release, chartDirectory, '-n', namespace, '--create-namespace', ...args);
    const policy = await cluster.kubectl([
      'get',
      'validatingadmissionpolicy',
      '-o',
      'jsonpath={.items[*].spec.variables}',
    ]);
    expect(policy).toContain(`'${account(name, namespace)}'`);
    expect(await names('serviceaccount', name, '-n', namespace)).toHaveLength(1);
  } finally {
    await stop();
  }
});
