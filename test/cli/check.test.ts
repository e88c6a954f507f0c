/** `kubectl mtls check` as users run it, against a real API server with the chart's own objects and an operator that leads. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { workloadCertificateKind } from '../../src/api/index.ts';
import { OPERATOR_NAMESPACE, type World, waitFor } from '../certificate/world.ts';
import { PROXY_API, startMeshWorld } from '../identity/mesh.ts';
import { makeCorporateCa } from '../proxy/identities.ts';
import { chartDirectory, helmFor } from '../support/helm.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { Plugin, userWith } from './plugin.ts';
import { type PodSketch, runPod } from './sidecarPods.ts';

const IMAGE = 'envoy:present';
const NODE = 'node-1';

let world: World;
let plugin: Plugin;
let home: string;

beforeAll(async () => {
  world = await startMeshWorld();
  plugin = await Plugin.install(world.cluster);
  // Without it no pod on it would be an endpoint.
  await world.send('POST', '/api/v1/nodes', { metadata: { name: NODE } });
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
});

afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

const reportSchema = z.object({
  version: z.string(),
  operatorNamespace: z.string(),
  result: z.enum(['ok', 'warning', 'error']),
  findings: z.array(
    z.object({
      check: z.string(),
      result: z.enum(['ok', 'warning', 'error']),
      object: z.string().nullable(),
      namespace: z.string().nullable(),
      message: z.string(),
      advice: z.string().nullable(),
      missingPermission: z.string().nullable(),
    }),
  ),
});
type Report = z.output<typeof reportSchema>;

async function report(): Promise<Report> {
  return reportSchema.parse(await plugin.json(['check']));
}

/** All that is not ok, as `error Webhook`. */
async function troubles(): Promise<string[]> {
  const { findings } = await report();
  return findings.filter(({ result }) => result !== 'ok').map(({ check, result }) => `${result} ${check}`);
}

async function allWell(): Promise<void> {
  await waitFor('nothing to be wrong', async () => {
    const { findings } = await report();
    const wrong = findings.filter(({ result }) => result !== 'ok');
    if (wrong.length > 0) throw new Error(JSON.stringify(wrong));
    return true;
  });
}

/** What is said of a check, of one namespace or one object. */
async function said(check: string, where: string): Promise<Report['findings']> {
  const { findings } = await report();
  return findings.filter((one) => one.check === check && (one.namespace === where || one.object === where));
}

/** As helm makes them: what the check looks for must be what the chart writes. */
async function installChart(...flags: readonly string[]): Promise<void> {
  const helm = await helmFor(home);
  const files = ['deployment', 'proxyapi/deployment', 'proxyapi/service', 'proxyapi/rbac', 'proxyapi/webhook'];
  const yaml = await helm(
    'template',
    'mtls-operator',
    chartDirectory,
    ...['-n', OPERATOR_NAMESPACE, '--set', 'mesh.enabled=true', '--set', `mesh.proxyImage=${IMAGE}`],
    ...['--set', 'mesh.ranges={10.244.0.0/16,10.96.0.0/16}'],
    ...files.flatMap((file) => ['--show-only', `templates/${file}.yaml`]),
    ...flags,
  );
  await world.cluster.kubectl(['apply', '-f', '-'], { input: yaml });
}

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ nodeName: z.string().optional() }),
    }),
  ),
});

/** The Deployments' pods: what the scheduler and kubelet would write. */
async function startOperatorPods(): Promise<void> {
  const path = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods`;
  const { items } = await waitFor('the pods of both Deployments', async () => {
    const found = podsSchema.parse(await world.find(path));
    return found.items.length === 4 && found;
  });
  for (const [index, { metadata, spec }] of items.entries()) {
    const target = { apiVersion: 'v1', kind: 'Node', name: NODE };
    if (spec.nodeName === undefined)
      await world.send('POST', `${path}/${metadata.name}/binding`, { metadata: { name: metadata.name }, target });
    const podIP = `10.244.250.${index + 1}`;
    const conditions = [{ type: 'Ready', status: 'True' }];
    await world.send('PATCH', `${path}/${metadata.name}/status`, {
      status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions },
    });
  }
}

async function namespaceWithAccount(prefix: string): Promise<string> {
  const namespace = await world.namespace(prefix);
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await waitFor('the service account `default`', () => world.find(account));
  return namespace;
}

const run = (namespace: string, name: string, sketch: PodSketch = {}): Promise<string> =>
  runPod(world.cluster, namespace, name, { image: IMAGE, ...sketch });

/** Pods first: nobody answers for the webhook, so that from then on none can be made there. */
async function joinMesh(namespace: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const metadata = { labels: { 'mtls-operator.io/injection': 'enabled', ...labels } };
  await world.send('PATCH', `/api/v1/namespaces/${namespace}`, { metadata });
}

describe('kubectl mtls check', () => {
  test('finds nothing wrong with an operator without sidecars, run by hand, but that nobody keeps its replicas', async () => {
    await world.authorityReason('default', 'Ready');
    const { code, stdout } = await plugin.run(['check']);
    expect(stdout).toMatch(/^ok +Kinds +4 kinds, as of version /m);
    expect(stdout).toMatch(/^ok +AdmissionPolicies +\S+, \S+: in force$/m);
    expect(stdout).toMatch(
      /^warning +Controller +namespace mtls-system: there is no Deployment of the controller, though one/m,
    );
    expect(stdout).toMatch(/^ok +Mesh +not enabled/m);
    expect(stdout).toMatch(/^0 errors, 1 warning$/m);
    expect(code).toBe(0);
  });

  test('finds what has not started yet once the chart is installed, and that all is well when it has', async () => {
    await installChart();
    await waitFor('proxy-api to be missed', async () => {
      const found = await troubles();
      return ['Controller', 'ProxyApi', 'WebhookService'].every((check) => found.includes(`error ${check}`));
    });
    await startOperatorPods();
    await allWell();
    const found = await report();
    expect(found).toMatchObject({ operatorNamespace: OPERATOR_NAMESPACE, result: 'ok' });
    const { code, stdout } = await plugin.run(['check']);
    expect(stdout).toMatch(/^0 errors, 0 warnings$/m);
    expect(code).toBe(0);
  });

  test('says what is wrong with pods and namespaces, and how to put it right', async () => {
    const namespace = await namespaceWithAccount('shop');
    await run(namespace, 'sound');
    await run(namespace, 'old', { image: 'envoy:old' });
    await run(namespace, 'early', { sidecar: false });
    await run(namespace, 'host', { sidecar: false, spec: { hostNetwork: true } });
    await run(namespace, 'out', { sidecar: false, labels: { 'mtls-operator.io/injection': 'disabled' } });
    await run(namespace, 'proxied', {
      sidecar: false,
      spec: { containers: [{ name: 'main', image: 'web:1', securityContext: { runAsUser: 1337 } }] },
    });
    await run(namespace, 'far', { address: '192.0.2.7' });
    await joinMesh(namespace);
    await world.ready(namespace, 'mtls-proxy-default');
    const guarded = await namespaceWithAccount('guarded');
    await joinMesh(guarded, { 'pod-security.kubernetes.io/enforce': 'restricted' });

    const versions = await said('SidecarVersions', namespace);
    expect(versions).toMatchObject([{ result: 'warning', object: 'pod/old' }]);
    expect(versions[0]?.message).toContain(`envoy:old; what is injected now is ${IMAGE}`);
    const absent = await said('PodsWithoutSidecar', namespace);
    expect(absent).toMatchObject([
      { result: 'warning', object: 'pod/early', message: expect.stringContaining('made before') },
      { result: 'warning', object: 'pod/host', message: expect.stringContaining('network of the host') },
      { result: 'warning', object: 'pod/proxied', message: expect.stringContaining('runs as user 1337') },
    ]);
    const { code, stdout } = await plugin.run(['check']);
    expect(stdout).toMatch(
      new RegExp(`^ok +PodsWithoutSidecar +1 pod without sidecar, as their label says: Pod/out in ${namespace}$`, 'm'),
    );
    expect(stdout).toMatch(
      new RegExp(`^error +MeshRanges .*1 pod with a sidecar outside .*${namespace}/far 192.0.2.7$`, 'm'),
    );
    expect(stdout).toMatch(new RegExp(`^error +Namespaces +namespace/${guarded}: .*Pod Security restricted`, 'm'));
    expect(stdout).toContain(
      `-> kubectl label namespace ${guarded} --overwrite pod-security.kubernetes.io/enforce=privileged`,
    );
    expect(code).toBe(1);
    for (const one of [namespace, guarded]) await world.cluster.kubectl(['delete', 'namespace', one, '--wait=false']);
    await world.cluster.kubectl(['delete', 'pods', '--all', '-n', namespace, '--force', '--grace-period=0']);
    await allWell();
  });

  test('says which Deployment is to be restarted for a new version', async () => {
    await installChart('--set', 'mesh.proxyImage=envoy:next');
    const namespace = await namespaceWithAccount('restarted');
    const labels = { app: 'web' };
    const image = 'registry.invalid/none';
    await world.send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, {
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: [{ name: 'main', image }],
            initContainers: [{ name: 'mtls-proxy', image: IMAGE, restartPolicy: 'Always' }],
          },
        },
      },
    });
    const found = await waitFor('both pods to be outdated', async () => {
      const [first] = await said('SidecarVersions', namespace);
      return first?.message.startsWith('2 pods') === true && first;
    });
    expect(found).toMatchObject({
      object: 'deployment/web',
      advice: `kubectl rollout restart deployment/web -n ${namespace}`,
    });
    // kubectl takes it as it stands there.
    await world.cluster.kubectl(found.advice?.split(' ').slice(1) ?? []);
    await world.cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
    await installChart();
    await startOperatorPods();
  });

  test('names each permission that is missing, and does not call sound what it cannot see', async () => {
    const as = await userWith(world.cluster, 'kinds-only', [
      '--verb=get',
      '--resource=customresourcedefinitions.apiextensions.k8s.io',
    ]);
    const { code, stdout } = await plugin.run(['check'], { as });
    expect(stdout).toMatch(/^ok +Kinds /m);
    for (const permission of [
      'get validatingadmissionpolicies.admissionregistration.k8s.io',
      'list deployments.apps in namespace mtls-system',
      'get leases.coordination.k8s.io in namespace mtls-system',
      'get certificateauthorities.mtls-operator.io',
      'get mutatingwebhookconfigurations.admissionregistration.k8s.io',
      'list pods in all namespaces',
      'list namespaces',
    ])
      expect(stdout).toContain(`not looked at: you lack the permission to ${permission}`);
    expect(stdout).toMatch(/^0 errors, /m);
    expect(code).toBe(3);
  });

  test('does what docs/cli.md shows', async () => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8');
    const commands = fencedBlocks(text)
      .flatMap((block) => block.text.split('\n'))
      .filter((line) => line.startsWith('kubectl mtls check'));
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const { stdout } = await plugin.run(command.split(' ').slice(2));
      expect(stdout).toContain('AdmissionPolicies');
    }
  });
});

/** Nobody puts right what is broken from here on. */
describe('where nobody leads, kubectl mtls check', () => {
  beforeAll(() => world.operator.kill());

  test('says so when the Lease is old', async () => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${OPERATOR_NAMESPACE}/leases/mtls-operator`;
    await world.send('PATCH', path, { spec: { renewTime: '2026-01-01T00:00:00.000000Z' } });
    expect(await said('Leader', 'lease/mtls-operator')).toMatchObject([{ result: 'error' }]);
  });

  test.each<[string, () => Promise<string> | string, string]>([
    [
      'no certificate',
      () => Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').toString('base64'),
      'can be read',
    ],
    [
      'those of another CA',
      async () => Buffer.from((await makeCorporateCa('Other')).files['ca.crt']).toString('base64'),
      'is not the roots of the authority',
    ],
    ['empty', () => '', 'caBundle is empty'],
  ])('says that the roots of a webhook are %s', async (_, bundle, message) => {
    const clientConfig = { caBundle: await bundle() };
    const webhooks = [{ name: 'namespace.injection.mtls-operator.io', clientConfig }];
    await world.cluster.kubectl([
      'patch',
      'mutatingwebhookconfiguration',
      'mtls-operator',
      '--type=strategic',
      '-p',
      JSON.stringify({ webhooks }),
    ]);
    const found = await said('Webhook', 'mutatingwebhookconfiguration/mtls-operator');
    expect(found).toContainEqual(
      expect.objectContaining({ result: 'error', message: expect.stringContaining(message) }),
    );
  });

  test('says which certificates are expired, missing, or not for the webhook', async () => {
    const namespace = await namespaceWithAccount('expired');
    await run(namespace, 'web');
    expect(await said('SidecarCertificates', namespace)).toMatchObject([
      {
        result: 'error',
        object: 'workloadcertificate/mtls-proxy-default',
        message: expect.stringContaining('it is not there'),
      },
    ]);
    await world.create(namespace, 'mtls-proxy-default', {
      secretName: 'mtls-proxy-default',
      serviceAccountName: 'default',
    });
    const path = workloadCertificateKind.path(namespace, 'mtls-proxy-default', 'status');
    await world.send('PATCH', path, { status: { notAfter: '2026-01-01T00:00:00Z' } });
    expect(await said('SidecarCertificates', namespace)).toMatchObject([
      { result: 'error', message: expect.stringContaining('nobody speaks mutual TLS with web') },
    ]);
    await world.patch(OPERATOR_NAMESPACE, PROXY_API, { spec: { dnsNames: [`other.${OPERATOR_NAMESPACE}.svc`] } });
    expect(await said('ProxyApiCertificate', OPERATOR_NAMESPACE)).toMatchObject([
      {
        result: 'error',
        message: `it is not for ${PROXY_API}.${OPERATOR_NAMESPACE}.svc, by which the API server verifies the webhook`,
      },
    ]);
  });

  test('says which admission policy binds nobody, and which kind is another or gone', async () => {
    const binding = 'restarts.workloadcertificates.mtls-operator.io';
    await world.cluster.kubectl(['delete', 'validatingadmissionpolicybinding', binding]);
    expect(await said('AdmissionPolicies', `validatingadmissionpolicybinding/${binding}`)).toMatchObject([
      { result: 'error' },
    ]);
    const name = 'mtlsrollouts.mtls-operator.io';
    const description = 'of another version';
    await world.cluster.kubectl([
      ...['patch', 'crd', name, '--type=json', '-p'],
      JSON.stringify([
        { op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema/description', value: description },
      ]),
    ]);
    const definition = `customresourcedefinition/${name}`;
    expect(await said('Kinds', definition)).toMatchObject([{ result: 'warning' }]);
    await world.cluster.kubectl(['delete', 'crd', name]);
    expect(await said('Kinds', definition)).toMatchObject([{ result: 'error', message: 'it is not there' }]);
  });
});
