/** `kubectl mtls proxies` as users run it, against a real API server. No operator runs: what one would write is written by hand. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mtlsPolicyKind, mtlsRolloutKind, workloadCertificateKind } from '../../src/api/index.ts';
import { settings } from '../../src/inject/builders.fixture.ts';
import { startClusterWithKinds } from '../api/cluster.ts';
import { send } from '../api/control.ts';
import type { Cluster } from '../cluster/index.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { waitFor } from '../support/waitFor.ts';
import { Plugin, userWith } from './plugin.ts';
import { runPod } from './sidecarPods.ts';

const OPERATOR_NAMESPACE = 'mtls-system';
const apiVersion = 'mtls-operator.io/v1alpha1';

let cluster: Cluster;
let plugin: Plugin;
let namespace: string;
let namespaces = 0;

beforeAll(async () => {
  cluster = await startClusterWithKinds();
  plugin = await Plugin.install(cluster);
  await proxyApi(settings.proxyImage);
});

afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

beforeEach(async () => {
  namespaces += 1;
  namespace = await madeNamespace(`meshed-${namespaces}`);
});

async function madeNamespace(name: string): Promise<string> {
  await must('POST', '/api/v1/namespaces', { metadata: { name } });
  const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  await waitFor('the service account `default`', async () => (await send(cluster, 'GET', account)).status === 200);
  return name;
}

async function must(method: 'POST' | 'PATCH', path: string, body: object): Promise<void> {
  const answer = await send(cluster, method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${String(answer.body['message'])}`);
}

/** As the chart labels and starts it. */
async function proxyApi(image: string): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'mtls-operator', 'app.kubernetes.io/component': 'proxy-api' };
  const containers = [{ name: 'proxy-api', image: 'operator', args: ['proxy-api', `--proxy-image=${image}`] }];
  await must('POST', `/apis/apps/v1/namespaces/${OPERATOR_NAMESPACE}/deployments`, {
    metadata: { name: 'mtls-operator-proxy-api', labels },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  });
}

async function record(workloads: readonly object[], conditions: readonly object[] = []): Promise<void> {
  await must('POST', mtlsRolloutKind.path(namespace), {
    apiVersion,
    kind: 'MTLSRollout',
    metadata: { name: 'default' },
    spec: { workloads },
  });
  await must('PATCH', mtlsRolloutKind.path(namespace, 'default', 'status'), { status: { conditions } });
}

const settled = {
  target: 'Strict',
  servers: 'Strict',
  clients: 'MutualTLS',
  phase: 'Settled',
  since: '2026-01-01T00:00:00Z',
};

async function certificate(account: string, status: object): Promise<void> {
  const name = `mtls-proxy-${account}`;
  await must('POST', workloadCertificateKind.path(namespace), {
    apiVersion,
    kind: 'WorkloadCertificate',
    metadata: { name },
    spec: { secretName: name, serviceAccountName: account },
  });
  await must('PATCH', workloadCertificateKind.path(namespace, name, 'status'), { status });
}

const inHours = (hours: number): string =>
  new Date(Date.now() + hours * 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');

function condition(type: string, reason: string, message: string): object {
  return { type, status: 'False', reason, message, lastTransitionTime: '2026-01-01T00:00:00Z' };
}

describe('kubectl mtls proxies', () => {
  test('lists every pod with a sidecar, and no other, with its mode and its certificate', async () => {
    await runPod(cluster, namespace, 'web-1');
    await runPod(cluster, namespace, 'plain', { sidecar: false });
    await record([
      { kind: 'Pod', name: 'web-1', ...settled, ports: [{ port: 9090, ...settled, servers: 'Permissive' }] },
    ]);
    await certificate('default', { notAfter: inHours(23.5), serialNumber: '0A' });
    const { code, stdout } = await plugin.run(['proxies', '-n', namespace]);
    const [head, line, ...rest] = stdout.split('\n');
    expect(head).toMatch(/^NAME +WORKLOAD +SIDECAR +RESTARTS +VERSION +MODE +PHASE +CERTIFICATE$/);
    expect(line).toMatch(/^web-1 +Pod\/web-1 +Ready +0 +test +Strict,9090:Permissive +Settled +for 23h$/);
    expect(rest).toEqual(['']);
    expect(code).toBe(0);
  });

  test('says what is outdated, what lags and who says so, which certificates are none, and ends well', async () => {
    await runPod(cluster, namespace, 'old', { image: 'envoy:older', status: { ready: false, restartCount: 3 } });
    await must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'late' } });
    await runPod(cluster, namespace, 'late', {
      spec: { serviceAccountName: 'late' },
      status: { state: { waiting: { reason: 'ImagePullBackOff' } }, ready: false, started: false },
    });
    const since = inHours(-4.5);
    const lagging = `waiting for the proxies of ${namespace}/old`;
    await record(
      [{ kind: 'Pod', name: 'old', ...settled, servers: 'Permissive', phase: 'Servers', since }],
      [condition('Settled', 'Switching', lagging)],
    );
    await certificate('default', { notAfter: inHours(-5.5) });
    await must('POST', mtlsPolicyKind.path(namespace), {
      apiVersion,
      kind: 'MTLSPolicy',
      metadata: { name: 'default' },
      spec: { mode: 'Strict' },
    });
    const refused = `${namespace}/old: no such field \u001b[31m`;
    await must('PATCH', mtlsPolicyKind.path(namespace, 'default', 'status'), {
      status: { conditions: [condition('Enforced', 'Refused', refused)] },
    });
    const { code, stdout } = await plugin.run(['proxies', '-n', namespace]);
    expect(stdout).toMatch(/^late +Pod\/late +Waiting \(ImagePullBackOff\) +0 +test +<unknown> +<unknown> +missing$/m);
    expect(stdout).toMatch(
      /^old +Pod\/old +NotReady +3 +older \(outdated\) +Permissive +Servers for 4h to Strict +expired 5h ago$/m,
    );
    expect(stdout).toContain(`MTLSRollout ${namespace}/default: Switching: ${lagging}`);
    expect(stdout).toContain(`MTLSPolicy ${namespace}/default: Refused: ${namespace}/old: no such field  [31m`);
    expect(code).toBe(0);
  });

  test('says all of it in JSON, and serial number and UID in wide', async () => {
    const uid = await runPod(cluster, namespace, 'web-1');
    await record([{ kind: 'Pod', name: 'web-1', ...settled }]);
    await certificate('default', { notAfter: '2099-01-01T00:00:00Z', serialNumber: '0A1B' });
    expect(await plugin.json(['proxies', '-n', namespace])).toEqual({
      proxies: [
        {
          namespace,
          name: 'web-1',
          uid,
          workload: 'Pod/web-1',
          serviceAccount: 'default',
          state: 'Ready',
          stateReason: null,
          ready: true,
          started: true,
          restarts: 0,
          image: settings.proxyImage,
          outdated: false,
          mode: {
            servers: 'Strict',
            target: 'Strict',
            phase: 'Settled',
            since: '2026-01-01T00:00:00Z',
            ports: [],
            slowest: null,
          },
          lagging: false,
          certificate: { state: 'Valid', notAfter: '2099-01-01T00:00:00Z', serialNumber: '0A1B' },
        },
      ],
      injectedImage: settings.proxyImage,
      said: [],
      notes: [],
    });
    const { stdout } = await plugin.run(['proxies', '-n', namespace, '-o', 'wide']);
    expect(stdout).toMatch(new RegExp(`0A1B +${uid} +${settings.proxyImage}$`, 'm'));
  });

  test('lists those of all namespaces, sorted, and one by its name', async () => {
    const other = await madeNamespace(`another-${namespaces}`);
    await runPod(cluster, namespace, 'web-2');
    await runPod(cluster, namespace, 'web-1');
    await runPod(cluster, other, 'web-3');
    const { stdout: all } = await plugin.run(['proxies', '-A']);
    const found = all.split('\n').flatMap((line) => /^(\S+) +(web-\d)/.exec(line)?.slice(1, 3).join('/') ?? []);
    expect(found).toEqual([...found].sort());
    expect(found).toEqual(expect.arrayContaining([`${other}/web-3`, `${namespace}/web-1`, `${namespace}/web-2`]));
    const { stdout: one } = await plugin.run(['proxies', '-n', namespace, 'web-2']);
    expect(one.split('\n').map((line) => line.split(' ')[0])).toEqual(['NAME', 'web-2', '']);
  });

  test('is of use to somebody who may see no more than pods, and names each permission that is missing', async () => {
    await runPod(cluster, namespace, 'web-1');
    const as = await userWith(cluster, `pods-${namespace}`, ['--verb=list', '--resource=pods']);
    const { code, stdout } = await plugin.run(['proxies', '-n', namespace], { as });
    expect(stdout).toMatch(/^web-1 +Pod\/web-1 +Ready +0 +test +<unknown> +<unknown> +<unknown>$/m);
    const notes = stdout.split('\n').filter((line) => line.startsWith('note: '));
    expect(notes).toEqual([
      `note: modes are unknown: you lack the permission to list mtlsrollouts.mtls-operator.io in namespace ${namespace}`,
      `note: certificates are unknown: you lack the permission to list workloadcertificates.mtls-operator.io in namespace ${namespace}`,
      `note: what policies say of sidecars is left out: you lack the permission to list mtlspolicies.mtls-operator.io in namespace ${namespace}`,
      `note: it is unknown which version is injected now: you lack the permission to list deployments.apps in namespace ${OPERATOR_NAMESPACE}`,
    ]);
    expect(code).toBe(0);
  });

  test.each<[string, (name: string) => string[], number, RegExp]>([
    ['there is no such pod', (where) => ['-n', where, 'none'], 3, /pod meshed-\d+\/none is not there/],
    ['the pod has no sidecar', (where) => ['-n', where, 'plain'], 3, /plain has no sidecar/],
    ['two names are given', (where) => ['-n', where, 'one', 'two'], 1, /the name of one pod at most/],
  ])('says what is wrong where %s', async (_, args, code, message) => {
    await runPod(cluster, namespace, 'plain', { sidecar: false });
    const { stderr, ...run } = await plugin.run(['proxies', ...args(namespace)]);
    expect(stderr).toMatch(message);
    expect(run.code).toBe(code);
  });

  test('names the permission without which it can do nothing', async () => {
    const { code, stderr } = await plugin.run(['proxies', '-A'], { as: { name: 'nobody' } });
    expect(stderr).toContain('you lack the permission to list pods in all namespaces');
    expect(code).toBe(3);
  });

  test('says so where there are none', async () => {
    expect((await plugin.run(['proxies', '-n', namespace])).stdout).toBe('No pods with a sidecar.\n');
  });

  test('does what docs/cli.md shows', async () => {
    const shop = await madeNamespace('bank');
    await runPod(cluster, shop, 'web-1');
    const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8');
    const commands = fencedBlocks(text)
      .flatMap((block) => block.text.split('\n'))
      .filter((line) => line.startsWith('kubectl mtls proxies'));
    expect(commands.length).toBeGreaterThan(2);
    for (const command of commands) {
      const args = command
        .split(' ')
        .slice(2)
        .map((word) => (word === 'shop' ? shop : word));
      const { code, stdout } = await plugin.run(args);
      expect([code, stdout]).toEqual([0, expect.stringContaining('web-1')]);
    }
  });
});
