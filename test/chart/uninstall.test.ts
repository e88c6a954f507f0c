// Uninstalling a release with sidecars, by the real helm on a real control plane. There is no node: what the hook's Job would start runs beside it, with a token of its service account, and the
// pod is told how it ended.
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { makeGuardedDirectory } from '../cluster/guardian.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { CommandError, run } from '../support/command.ts';
import { type CommandLine, commandLine } from '../support/commandLine.ts';
import { chartDirectory, type Helm, helmFor, helmProgram } from '../support/helm.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { waitFor } from '../support/waitFor.ts';
import { containerSchema, NAMESPACE } from './chart.ts';

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

let cluster: Cluster;
let home: string;
let helm: Helm;

beforeAll(async () => {
  cluster = await startCluster();
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home, cluster);
  for (const namespace of ['shop', 'bank']) {
    await cluster.kubectl(['create', 'namespace', namespace]);
    const account = ['get', 'serviceaccount', 'default', '-n', namespace, '--ignore-not-found', '-o', 'name'];
    await waitFor('the service account `default`', async () => (await cluster.kubectl(account)) !== '');
  }
});

afterAll(async () => {
  await cluster?.stop();
  await rm(home, { recursive: true, force: true });
});

const install = (...args: readonly string[]): Promise<string> =>
  helm('install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--create-namespace', ...withMesh, ...args);
const withMesh = ['--set', 'mesh.enabled=true,mesh.ranges={10.244.0.0/16,10.96.0.0/12}'];
const upgrade = (...args: readonly string[]): Promise<string> =>
  helm('upgrade', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--reuse-values', ...args);
const uninstall = (...args: readonly string[]): Promise<string> =>
  helm('uninstall', 'mtls-operator', '-n', NAMESPACE, '--timeout=60s', ...args);

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
  throw new Error('it succeeded');
}

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ serviceAccountName: z.string(), containers: z.tuple([containerSchema]) }),
      status: z.object({ phase: z.string() }),
    }),
  ),
});

/** Does for the hook's pod what a node would do. @returns how its program ended, and what it said. */
async function actAsNode(): Promise<{ readonly code: number; readonly said: string }> {
  const pod = await waitFor('the pod of the hook', async () => {
    const selector = ['-l', 'job-name=mtls-operator-uninstall', '-o', 'json'];
    const { items } = podsSchema.parse(
      JSON.parse(await cluster.kubectl(['get', 'pods', '-n', NAMESPACE, ...selector])),
    );
    return items.find(({ status }) => status.phase === 'Pending');
  });
  const { serviceAccountName, containers } = pod.spec;
  const kubeconfig = await cluster.kubeconfigForServiceAccount({ namespace: NAMESPACE, name: serviceAccountName });
  const env = { PATH: process.env['PATH'], KUBECONFIG: kubeconfig, POD_NAMESPACE: NAMESPACE };
  const ended = await run(process.execPath, [main, ...containers[0].args], { env }).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error: unknown) => {
      if (error instanceof CommandError) return { code: error.code, said: error.output };
      throw error;
    },
  );
  const patch = JSON.stringify({ status: { phase: ended.code === 0 ? 'Succeeded' : 'Failed' } });
  const words = ['patch', 'pod', pod.metadata.name, '-n', NAMESPACE, '--subresource=status', '--type=merge'];
  await cluster.kubectl([...words, '-p', patch]);
  return ended;
}

async function refused() {
  const [said, hook] = await Promise.all([failure(uninstall()), actAsNode()]);
  return { said, hook };
}

async function names(...args: readonly string[]): Promise<string[]> {
  const text = await cluster.kubectl(['get', ...args, '-o', 'name']);
  return text.split('\n').filter((line) => line !== '');
}

/** What the release has made, apart from what it keeps. */
async function parts(): Promise<string[]> {
  const label = ['-l', 'app.kubernetes.io/instance=mtls-operator'];
  const namespaced = await names('deployment,service,serviceaccount,role,rolebinding,pdb', '-n', NAMESPACE, ...label);
  const others = await names('clusterrole,clusterrolebinding,mutatingwebhookconfiguration', ...label);
  return [...namespaced, ...others];
}

/** Pods as injection makes them. Their namespaces have no label, so that the API server asks no webhook. */
async function runPods(namespace: string, count: number, more: object = {}): Promise<void> {
  const spec = {
    containers: [{ name: 'main', image: 'registry.invalid/none' }],
    initContainers: [{ name: 'mtls-proxy', image: 'registry.invalid/none', restartPolicy: 'Always' }],
    ...more,
  };
  const items = Array.from({ length: count }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${index}`, namespace },
    spec,
  }));
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
}

const removePods = async (): Promise<void> => {
  // As one request: kubectl would delete them one by one.
  for (const namespace of ['shop', 'bank'])
    await cluster.kubectl(['delete', '--raw', `/api/v1/namespaces/${namespace}/pods`]);
};

const releaseStatus = async (): Promise<string> =>
  z
    .object({ info: z.object({ status: z.string() }) })
    .parse(JSON.parse(await helm('status', 'mtls-operator', '-n', NAMESPACE, '-o', 'json'))).info.status;

async function makeShell(): Promise<CommandLine & AsyncDisposable> {
  const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-docs-');
  const shell = commandLine(guarded.path, cluster, { helm: await helmProgram() });
  return { ...shell, [Symbol.asyncDispose]: () => guarded.remove() };
}

const auditSchema = z.object({ verb: z.string(), requestURI: z.string(), user: z.object({ username: z.string() }) });

/** What the account of the hook has asked of the API server. */
async function requests(): Promise<Set<string>> {
  const lines = (await readFile(cluster.auditLog, 'utf8')).split('\n').filter((line) => line !== '');
  return new Set(
    lines
      .map((line) => auditSchema.parse(JSON.parse(line)))
      .filter(({ user }) => user.username === `system:serviceaccount:${NAMESPACE}:mtls-operator-uninstall`)
      .map(({ verb, requestURI }) => `${verb} ${requestURI.split('?')[0]}`),
  );
}

describe('a release with sidecars', () => {
  beforeEach(async () => {
    await install();
  });

  afterEach(async () => {
    if ((await helm('list', '-n', NAMESPACE, '--short')) !== '') await uninstall('--no-hooks');
    await removePods();
  });

  test('is not uninstalled while pods have one, and all of it stays', async () => {
    const before = await parts();
    expect(before).toContain('mutatingwebhookconfiguration.admissionregistration.k8s.io/mtls-operator');
    await runPods('shop', 2);
    // More than one page of a list.
    await runPods('bank', 230);
    const { said, hook } = await refused();
    expect(said).toContain('mtls-operator-uninstall');
    expect(hook).toEqual({ code: 1, said: expect.stringContaining('232 pods have a sidecar') });
    expect(hook.said).toContain('\n  bank: 230\n  shop: 2\n');
    expect(hook.said).toContain(`helm uninstall mtls-operator -n ${NAMESPACE} --no-hooks`);
    expect(await parts()).toEqual(before);
    expect(await requests()).toEqual(new Set(['list /api/v1/pods']));
  });

  test('goes on after a refusal, once it was rolled back to where it is', async () => {
    await runPods('shop', 1);
    await refused();
    expect(await releaseStatus()).toBe('uninstalling');
    // Helm takes a release that it has begun to uninstall for one that is not there.
    expect(await failure(upgrade())).toContain('has no deployed releases');
    await helm('rollback', 'mtls-operator', '1', '-n', NAMESPACE);
    expect(await releaseStatus()).toBe('deployed');
    await upgrade();
  });

  test('is uninstalled when no pod has one any more, without a trace of the hook', async () => {
    await runPods('shop', 1);
    await refused();
    await removePods();
    await runPods('shop', 1, { initContainers: [] });
    const [said, hook] = await Promise.all([uninstall(), actAsNode()]);
    expect(hook).toEqual({ code: 0, said: 'No pod has a sidecar: the operator may go.\n' });
    expect(said).toContain('release "mtls-operator" uninstalled');
    expect(await parts()).toEqual([]);
    expect(await names('job', '-n', NAMESPACE)).toEqual([]);
  });

  test('is uninstalled all the same with mesh.forceUninstall, without a hook', async () => {
    await runPods('shop', 1);
    await upgrade('--set', 'mesh.forceUninstall=true');
    expect(await names('serviceaccount', '-n', NAMESPACE)).not.toContain('serviceaccount/mtls-operator-uninstall');
    await uninstall();
    expect(await parts()).toEqual([]);
  });

  test('is uninstalled all the same without hooks, after a refusal too', async () => {
    await runPods('shop', 1);
    await refused();
    await uninstall('--no-hooks');
    expect(await parts()).toEqual([]);
    // It shows for a day why it has failed, and removes itself.
    const left = ['get', 'job', 'mtls-operator-uninstall', '-n', NAMESPACE];
    expect(await cluster.kubectl([...left, '-o', 'jsonpath={.spec.ttlSecondsAfterFinished}'])).toBe('86400');
    await cluster.kubectl(['delete', 'job', 'mtls-operator-uninstall', '-n', NAMESPACE]);
  });

  test('is not uninstalled where it cannot be known whether pods have one', async () => {
    await cluster.kubectl(['delete', 'clusterrolebinding', 'mtls-operator-uninstall']);
    const { hook } = await refused();
    expect(hook).toEqual({ code: 2, said: expect.stringContaining('is not known: pods of all namespaces may not be') });
  });
});

test('what docs/install.md says takes a namespace out of the mesh, and the release off the cluster', async () => {
  await using shell = await makeShell();
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'install.md'), 'utf8');
  const [, rest = ''] = text.split('## Uninstall with sidecars\n');
  const [takeOut, away, ...others] = fencedBlocks(rest);
  expect(others).toEqual([]);
  await install();
  const pod = { containers: [{ name: 'main', image: 'registry.invalid/none' }] };
  const template = { metadata: { labels: { app: 'web' } }, spec: pod };
  const spec = { selector: { matchLabels: { app: 'web' } }, template };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'shop' }, spec };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(deployment) });
  await shell.run(takeOut?.text ?? '');
  const label = ['get', 'namespace', 'shop', '-o', 'jsonpath={.metadata.labels.mtls-operator\\.io/injection}'];
  expect(await cluster.kubectl(label)).toBe('disabled');
  const annotation = 'jsonpath={.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}';
  expect(await cluster.kubectl(['get', 'deployment', 'web', '-n', 'shop', '-o', annotation])).not.toBe('');
  await Promise.all([shell.run(away?.text ?? ''), actAsNode()]);
  expect(await parts()).toEqual([]);
  await cluster.kubectl(['delete', 'deployment', 'web', '-n', 'shop']);
});

test('a release without sidecars is uninstalled without a hook', async () => {
  await runPods('shop', 1);
  await install('--set', 'mesh.enabled=false');
  await uninstall();
  expect(await parts()).toEqual([]);
  await removePods();
});
