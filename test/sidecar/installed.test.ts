/** Sidecars as users get them: the chart on a real kubelet, a label on a namespace, `kubectl apply` of a policy, and pods that speak with each other all the while. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { Mode } from '../../src/api/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { operatorImage } from '../image/operatorImage.ts';
import { makeProbeImage, type Node, probeImage, startClusterWithNode } from '../node/index.ts';
import { initImage, makeInitImage, makeProxyImage, proxyImage } from '../node/sidecarImages.ts';
import { CommandError } from '../support/command.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { Explainer } from './explained.ts';
import { Pods } from './pods.ts';
import { namespaceOf, workload } from './workload.ts';

const examples = join(import.meta.dirname, '..', '..', 'examples', 'mesh');

let cluster: Cluster;
let node: Node;
let helm: Helm;
let home: string;
let values: readonly string[];
let explainer: Explainer;
const shop = () => new Pods(cluster, 'shop');
const outside = () => new Pods(cluster, 'outside');

beforeAll(async () => {
  const image = await operatorImage(printProgress);
  ({ cluster, node } = await startClusterWithNode({ log: printProgress }));
  await node.load(image.archive);
  for (const make of [makeProxyImage, makeInitImage, makeProbeImage]) await node.load(await make(printProgress));
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home, cluster);
  const { pods, services } = node.addresses;
  values = [
    'mesh.enabled=true',
    `mesh.ranges={${pods},${services}}`,
    `mesh.proxyImage=${proxyImage}`,
    `mesh.initImage=${initImage}`,
    'mesh.drainSeconds=1',
  ].flatMap((value) => ['--set', value]);
  // As restricted as it can be: nothing of the operator's own needs more.
  await create(
    namespaceOf(OPERATOR_NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
    namespaceOf('outside'),
  );
  await cluster.kubectl(['apply', '-f', join(examples, 'shop.yaml')]);
  explainer = await Explainer.install(cluster, 'shop');
});

afterAll(async () => {
  await explainer?.[Symbol.asyncDispose]();
  await cluster?.stop();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

async function create(...objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
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

async function podNames(namespace: string, app: string): Promise<string[]> {
  const words = ['get', 'pods', '-n', namespace, '-l', `app=${app}`, '-o', 'jsonpath={.items[*].metadata.name}'];
  return (await cluster.kubectl(words)).split(' ').filter((name) => name !== '');
}

async function rolledOut(namespace: string, name: string): Promise<void> {
  await cluster
    .kubectl(['rollout', 'status', `deployment/${name}`, '-n', namespace, '--timeout=120s'])
    .catch(async (error: unknown) => {
      const said = await cluster.kubectl(['describe', 'pods', '-n', namespace, '-l', `app=${name}`]);
      throw new Error(`${name} is not rolled out: ${said.slice(-6_000)}`, { cause: error });
    });
}

async function visitor(pods: Pods, namespace: string, app: string): Promise<(url: string) => Promise<string>> {
  const [name = ''] = await podNames(namespace, app);
  return (url) => pods.visit(name, url);
}

async function apply(mode: Mode): Promise<void> {
  // As the documentation has it.
  if (mode === 'Strict') {
    await cluster.kubectl(['apply', '-f', join(examples, 'mtlspolicy.yaml')]);
    return;
  }
  const metadata = { name: 'shop', namespace: 'shop' };
  await create({ apiVersion: 'mtls-operator.io/v1alpha1', kind: 'MTLSPolicy', metadata, spec: { mode } });
}

const statusSchema = z.object({
  status: z
    .object({
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
        .default([]),
      effective: z.looseObject({ proxies: z.looseObject({}).optional() }).optional(),
    })
    .optional(),
  metadata: z.object({ generation: z.number() }),
});

/** Waits until the policy says that its mode is enforced everywhere, by its own present spec. */
async function enforced(mode: Mode): Promise<void> {
  let last = '';
  await waitFor(
    `${mode} to be enforced`,
    async () => {
      last = await cluster.kubectl(['get', 'mtlspolicy', 'shop', '-n', 'shop', '-o', 'json']);
      const record = await cluster.kubectl(['get', 'mtlsrollouts', '-n', 'shop', '-o', 'json']);
      const { status } = statusSchema.parse(JSON.parse(last));
      const done = status?.conditions.some(({ type, status: value }) => type === 'Enforced' && value === 'True');
      return done === true && settledIn(record, mode);
    },
    { timeoutMs: 90_000 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; the policy was ${last}`);
  });
}

const recordSchema = z.object({
  items: z.array(
    z.object({
      spec: z.object({ workloads: z.array(z.object({ servers: z.string(), phase: z.string() })).default([]) }),
    }),
  ),
});

function settledIn(json: string, mode: Mode): boolean {
  const workloads = recordSchema.parse(JSON.parse(json)).items.flatMap(({ spec }) => spec.workloads);
  return workloads.length > 0 && workloads.every(({ phase, servers }) => phase === 'Settled' && servers === mode);
}

async function rootsInWebhooks(): Promise<void> {
  await waitFor('the roots in the webhooks', async () => {
    const path = 'jsonpath={.webhooks[*].clientConfig.caBundle}';
    const found = await cluster.kubectl(['get', 'mutatingwebhookconfiguration', 'mtls-operator', '-o', path]);
    return found.split(' ').filter((word) => word !== '').length === 2;
  });
}

test('helm install --wait brings the operator and proxy-api, in the order in which they need each other', async () => {
  await helm(
    'install',
    'mtls-operator',
    chartDirectory,
    '-n',
    OPERATOR_NAMESPACE,
    '--wait',
    '--timeout=3m',
    ...values,
  ).catch(async (error: unknown) => {
    const pods = await cluster.kubectl(['describe', 'pods', '-n', OPERATOR_NAMESPACE]);
    const logs = await cluster
      .kubectl([
        'logs',
        '-n',
        OPERATOR_NAMESPACE,
        '-l',
        'app.kubernetes.io/instance=mtls-operator',
        '--tail=20',
        '--prefix',
      ])
      .catch(String);
    throw new Error(`${String(error)}\n${pods.slice(-6_000)}\n${logs.slice(-6_000)}`);
  });
  await rootsInWebhooks();
});

describe('pods of a labelled namespace', () => {
  beforeAll(async () => {
    await create(...workload('shop', 'web', 2), ...workload('shop', 'cart', 1), ...workload('outside', 'stranger', 1));
    for (const [namespace, name] of [
      ['shop', 'web'],
      ['shop', 'cart'],
      ['outside', 'stranger'],
    ] as const)
      await rolledOut(namespace, name);
  });

  test('have a sidecar, with an identity that nobody had to ask for', async () => {
    const [web = ''] = await podNames('shop', 'web');
    expect((await shop().get(web)).of('mtls-proxy')).toMatchObject({ started: true, ready: true });
    const [stranger = ''] = await podNames('outside', 'stranger');
    expect((await outside().get(stranger)).of('mtls-proxy')).toBeUndefined();
    const certificates = await cluster.kubectl(['get', 'wcert', '-n', 'shop', '-o', 'name']);
    expect(certificates.trim().split('\n').sort()).toEqual(
      ['cart', 'web'].map((name) => `workloadcertificate.mtls-operator.io/mtls-proxy-${name}`),
    );
  });

  test('speak with each other, and others with them, before anybody asks for a mode', async () => {
    const [cart, stranger] = [await visitor(shop(), 'shop', 'cart'), await visitor(outside(), 'outside', 'stranger')];
    expect(await cart('http://web/hello')).toContain('/hello');
    expect(await cart('http://web.shop.svc.cluster.local/hello')).toContain('/hello');
    expect(await stranger('http://web.shop/hello')).toContain('/hello');
    expect(await cart('http://stranger.outside/hello')).toContain('/hello');
  });

  test('that become Strict refuse plaintext and go on with each other; and back', async () => {
    const [cart, stranger] = [await visitor(shop(), 'shop', 'cart'), await visitor(outside(), 'outside', 'stranger')];
    let done = false;
    const answers: string[] = [];
    const visiting = (async () => {
      while (!done) answers.push(await cart('http://web/constant').catch(String));
    })();
    try {
      for (const mode of ['Strict', 'Permissive', 'Disabled', 'Strict'] as const) {
        await apply(mode);
        await enforced(mode);
        const expected = mode === 'Strict' ? 'closed' : expect.stringContaining('/hello');
        expect([mode, await stranger('http://web.shop/hello')]).toEqual([mode, expected]);
        const accepts = mode === 'Strict' ? 'MutualTLS' : 'MutualTLSAndPlaintext';
        for (const pod of await podNames('shop', 'web'))
          expect((await explainer.explain(pod, 8080)).ports).toMatchObject([
            { mode, loaded: { accepts, agrees: true } },
          ]);
      }
    } finally {
      done = true;
      await visiting;
    }
    expect(answers.length).toBeGreaterThan(5);
    expect(answers.filter((answer) => !answer.includes('/constant'))).toEqual([]);
  });

  test('say themselves which certificate they have loaded: after a renewal the new one, as peers see it', async () => {
    const [web = ''] = await podNames('shop', 'web');
    const before = await explainer.explain(web, 8080);
    expect(before.proxy).toMatchObject({
      unread: null,
      certificate: { state: 'Current', spiffeId: 'spiffe://cluster.local/ns/shop/sa/web' },
      roots: [{ subject: expect.stringContaining('CN=') }],
    });
    expect(before.notes).toEqual([]);
    const serial = before.proxy.certificate?.serialNumber;
    expect(await explainer.serialShownTo('cart', web, 9000)).toBe(serial);
    await cluster.kubectl(['delete', 'secret', 'mtls-proxy-web', '-n', 'shop']);
    let now = before;
    await waitFor('the proxy to have the new one', async () => {
      now = await explainer.explain(web, 8080);
      const { serialNumber, state } = now.proxy.certificate ?? {};
      return state === 'Current' && serialNumber !== serial;
    });
    expect(await explainer.serialShownTo('cart', web, 9000)).toBe(now.proxy.certificate?.serialNumber);
    expect(now.notes).toEqual([]);
  });

  test('say it to those who may forward ports to them, by the role that is documented, and to nobody else', async () => {
    const [web = ''] = await podNames('shop', 'web');
    const viewer = await explainer.viewer();
    expect((await explainer.explain(web, 8080, viewer)).proxy).toMatchObject({ unread: null });
    await cluster.kubectl([
      'patch',
      'clusterrole',
      'mtls-viewer',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/rules/2"}]',
    ]);
    await waitFor('the permission to be gone', async () => {
      const { ports, proxy } = await explainer.explain(web, 8080, viewer);
      // Everything else is told all the same.
      expect(ports).toMatchObject([{ port: 8080, mode: 'Strict' }]);
      return proxy.unread === 'you lack the permission to get and create pods/portforward in namespace shop';
    });
  });

  test('go on when the leader, or a replica of proxy-api, is killed in the middle of a switch', async () => {
    const [cart, stranger] = [await visitor(shop(), 'shop', 'cart'), await visitor(outside(), 'outside', 'stranger')];
    let done = false;
    const answers: string[] = [];
    const visiting = (async () => {
      while (!done) answers.push(await cart('http://web/constant').catch(String));
    })();
    try {
      for (const [mode, victim] of [
        ['Permissive', 'controller'],
        ['Strict', 'proxy-api'],
      ] as const) {
        await apply(mode);
        const selector = `app.kubernetes.io/component=${victim}`;
        await cluster.kubectl([
          'delete',
          'pods',
          '-n',
          OPERATOR_NAMESPACE,
          '-l',
          selector,
          '--force',
          '--grace-period=0',
          '--wait=false',
        ]);
        await enforced(mode);
        const expected = mode === 'Strict' ? 'closed' : expect.stringContaining('/hello');
        expect([mode, await stranger('http://web.shop/hello')]).toEqual([mode, expected]);
      }
    } finally {
      done = true;
      await visiting;
    }
    expect(answers.filter((answer) => !answer.includes('/constant'))).toEqual([]);
  });

  test('keep their mode while the operator and proxy-api are away', async () => {
    await cluster.kubectl(['scale', 'deployment', '--all', '--replicas=0', '-n', OPERATOR_NAMESPACE]);
    await waitFor('them to be gone', async () => {
      const left = await cluster.kubectl(['get', 'pods', '-n', OPERATOR_NAMESPACE, '-o', 'name']);
      return left.trim() === '';
    });
    const [cart, stranger] = [await visitor(shop(), 'shop', 'cart'), await visitor(outside(), 'outside', 'stranger')];
    expect(await cart('http://web/hello')).toContain('/hello');
    expect(await stranger('http://web.shop/hello')).toBe('closed');
    // Nobody would redirect and protect a new one: it is not made.
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace: 'shop' },
      spec: { containers: [{ name: 'main', image: probeImage }] },
    };
    await expect(create(pod)).rejects.toThrow(/namespace.injection.mtls-operator.io/);
    await cluster.kubectl(['scale', 'deployment', '--all', '--replicas=2', '-n', OPERATOR_NAMESPACE]);
    for (const name of ['mtls-operator-controller', 'mtls-operator-proxy-api'])
      await rolledOut(OPERATOR_NAMESPACE, name);
    await apply('Permissive');
    await enforced('Permissive');
    expect(await stranger('http://web.shop/hello')).toContain('/hello');
  });

  test('go through a rolling update in Strict without a failed request', async () => {
    await apply('Strict');
    await enforced('Strict');
    const cart = await visitor(shop(), 'shop', 'cart');
    let done = false;
    const answers: string[] = [];
    const visiting = (async () => {
      while (!done) answers.push(await cart('http://web/constant').catch(String));
    })();
    try {
      await cluster.kubectl(['rollout', 'restart', 'deployment/web', '-n', 'shop']);
      await rolledOut('shop', 'web');
    } finally {
      done = true;
      await visiting;
    }
    expect(answers.filter((answer) => !answer.includes('/constant'))).toEqual([]);
  });
});

describe('helm uninstall', () => {
  const uninstall = (...more: readonly string[]) =>
    helm('uninstall', 'mtls-operator', '-n', OPERATOR_NAMESPACE, '--wait', '--timeout=2m', ...more);

  test('is refused while pods have a sidecar, and helm itself says which and what to do', async () => {
    const said = await failure(uninstall());
    expect(said).toContain('3 pods have a sidecar');
    expect(said).toContain('shop: 3');
    expect(said).toContain('helm uninstall mtls-operator -n mtls-system --no-hooks');
    for (const name of ['mtls-operator-controller', 'mtls-operator-proxy-api'])
      await rolledOut(OPERATOR_NAMESPACE, name);
    const cart = await visitor(shop(), 'shop', 'cart');
    expect(await cart('http://web/hello')).toContain('/hello');
  });

  test('where it is forced, leaves sidecars as they are, and new pods without one, which Strict ones refuse', async () => {
    await uninstall('--no-hooks');
    const [cart, stranger] = [await visitor(shop(), 'shop', 'cart'), await visitor(outside(), 'outside', 'stranger')];
    expect(await cart('http://web/hello')).toContain('/hello');
    expect(await stranger('http://web.shop/hello')).toBe('closed');
    await create(...workload('shop', 'late', 1));
    await rolledOut('shop', 'late');
    const [late = ''] = await podNames('shop', 'late');
    expect((await shop().get(late)).of('mtls-proxy')).toBeUndefined();
    expect(await shop().visit(late, 'http://web/hello')).toBe('closed');
  });

  test('can be taken back: an operator that is installed again goes on with the same sidecars', async () => {
    await helm(
      'install',
      'mtls-operator',
      chartDirectory,
      '-n',
      OPERATOR_NAMESPACE,
      '--wait',
      '--timeout=3m',
      ...values,
    );
    await rootsInWebhooks();
    // It was made while nobody gave it a sidecar.
    await cluster.kubectl(['rollout', 'restart', 'deployment/late', '-n', 'shop']);
    await rolledOut('shop', 'late');
    await apply('Permissive');
    await enforced('Permissive');
    const [late = ''] = await podNames('shop', 'late');
    expect(await shop().visit(late, 'http://web/hello')).toContain('/hello');
  });

  test('goes through when no pod has a sidecar any more', async () => {
    await cluster.kubectl(['label', 'namespace', 'shop', 'mtls-operator.io/injection=disabled', '--overwrite']);
    await cluster.kubectl(['rollout', 'restart', 'deployment', '-n', 'shop']);
    for (const name of ['web', 'cart', 'late']) await rolledOut('shop', name);
    await uninstall();
    const cart = await visitor(shop(), 'shop', 'cart');
    expect(await cart('http://web/hello')).toContain('/hello');
  });
});
