/** The webhook as a real API server calls it: every pod that it changes is one that the API server admits. */
import { request } from 'node:https';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { annotations, labels } from '../../src/api/index.ts';
import { settings } from '../../src/inject/builders.fixture.ts';
import {
  INJECTION_PATH,
  inject,
  parsePod,
  type ServingCertificate,
  serveWebhook,
  type Webhook,
  webhookConfiguration,
} from '../../src/inject/index.ts';
import { silentLog } from '../../src/kube/index.ts';
import { buildLeafProfile, chainPem, generateKeyPair, issueLeaf } from '../../src/pki/index.ts';
import { type Cluster, KubectlError, startCluster } from '../cluster/index.ts';
import { type CorporateCa, makeCorporateCa } from '../support/corporateCa.ts';
import { waitFor } from '../support/waitFor.ts';
import { shapes } from './shapes.ts';

const hour = 3_600_000;

let cluster: Cluster;
let ca: CorporateCa;
let webhook: Webhook;

const namespaces: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  shop: { [labels.injection]: 'enabled' },
  plain: {},
  ranged: { [labels.injection]: 'enabled' },
  secured: { [labels.injection]: 'enabled', 'pod-security.kubernetes.io/enforce': 'restricted' },
};

async function servingCertificate(): Promise<ServingCertificate> {
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const profile = buildLeafProfile({
    subject: {},
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    uris: [],
    emailAddresses: [],
    usages: ['server auth'],
    key: { algorithm: 'ECDSA' },
  });
  const validity = { notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + hour) };
  const leaf = issueLeaf({ profile, key, issuer: ca.issuer, ...validity });
  return { key: key.pem('PKCS8'), cert: chainPem(leaf, ca.issuer) };
}

async function serve(port: number): Promise<Webhook> {
  return await serveWebhook({
    host: '127.0.0.1',
    port,
    certificate: await servingCertificate(),
    settings,
    // As from the cache of the operator.
    namespaceOf: (name) => Promise.resolve(name in namespaces ? { name, labels: namespaces[name] ?? {} } : undefined),
    serverFirstOf: () => [],
    log: silentLog,
  });
}

beforeAll(async () => {
  [cluster, ca] = await Promise.all([startCluster(), makeCorporateCa('Webhook')]);
  webhook = await serve(0);
  const configuration = webhookConfiguration({
    name: 'mtls-operator',
    operatorNamespace: settings.operatorNamespace,
    everyNamespace: false,
    clientConfig: {
      caBundle: Buffer.from(ca.files['ca.crt']).toString('base64'),
      url: `https://127.0.0.1:${webhook.port}${INJECTION_PATH}`,
    },
  });
  await apply(configuration);
  for (const [name, ofNamespace] of Object.entries(namespaces)) {
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: ofNamespace } });
    for (const account of ['default', 'cart']) {
      const metadata = { name: account, namespace: name };
      await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    }
  }
  const limits = [{ type: 'Container', default: { cpu: '500m' }, max: { cpu: '1' } }];
  await apply({
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'cpu', namespace: 'ranged' },
    spec: { limits },
  });
  // The API server learns of a webhook by a watch.
  await waitFor('the webhook to be called', async () => (await create('probe', 'shop')).includes('mtls-proxy'));
});

afterAll(async () => {
  await webhook?.close();
  await cluster?.stop();
});

async function apply(object: object): Promise<void> {
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) });
}

/** Has the API server admit a pod, without keeping it. @returns the pod as it would be stored */
async function create(
  name: string,
  namespace: string,
  spec: object = shapes['one container'] ?? {},
  metadata: object = {},
) {
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, ...metadata }, spec };
  const args = ['create', '--dry-run=server', '-o', 'json', '-f', '-'];
  return await cluster.kubectl(args, { input: JSON.stringify(object) });
}

async function refusal(...args: Parameters<typeof create>): Promise<string> {
  const error: unknown = await create(...args).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KubectlError) return error.stderr;
  throw new Error('it was admitted');
}

describe('a pod in a namespace that asked for the mesh', () => {
  test.each(Object.entries(shapes))('is admitted with a sidecar: %s', async (_, spec) => {
    const stored = parsePod(JSON.parse(await create('web', 'shop', spec)));
    const [init, proxy] = stored.spec.initContainers ?? [];
    expect([init?.name, proxy?.name, proxy?.restartPolicy]).toEqual(['mtls-init', 'mtls-proxy', 'Always']);
    // What the API server has filled in changes nothing.
    const again = inject(stored, { name: 'shop', labels: namespaces['shop'] ?? {} }, settings);
    const paths = again.action === 'Inject' ? again.patch.map(({ path }) => path) : [again.action];
    expect(paths.filter((path) => path !== '/spec/initContainers' && path !== '/spec/volumes')).toEqual([]);
  });

  test('that asks for what cannot be is refused, by name and with what to do', async () => {
    const metadata = { annotations: { [annotations.excludeOutboundRanges]: 'everywhere' } };
    expect(await refusal('web', 'shop', undefined, metadata)).toContain(
      `annotation ${annotations.excludeOutboundRanges} has "everywhere": write CIDRs, as in 192.0.2.0/24`,
    );
  });

  test('that has a LimitRange is admitted with the defaults of that for the sidecar, too', async () => {
    const stored = parsePod(JSON.parse(await create('web', 'ranged')));
    const all = [...(stored.spec.initContainers ?? []), ...stored.spec.containers];
    expect(all.map(({ resources }) => resources)).toMatchObject(all.map(() => ({ limits: { cpu: '500m' } })));
  });

  test('that enforces Pod Security is refused with that for a reason', async () => {
    expect(await refusal('web', 'secured')).toContain('namespace secured enforces Pod Security restricted');
  });
});

test.each([
  ['secured', {}, 'namespace secured enforces Pod Security restricted, which refuses NET_ADMIN'],
  ['shop', { runAsUser: 1337 }, 'container main runs as user 1337'],
])('whoever looks at a Deployment in %s finds why it has no pods', async (namespace, securityContext, message) => {
  const metadata = { name: 'web', namespace };
  const matchLabels = { app: 'web' };
  const container = { name: 'main', image: 'registry.invalid/none', securityContext };
  const template = { metadata: { labels: matchLabels }, spec: { containers: [container] } };
  await apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { replicas: 1, selector: { matchLabels }, template },
  });
  const described = () => cluster.kubectl(['describe', 'replicaset', '-n', namespace, '-l', 'app=web']);
  const said = await waitFor('the event of the ReplicaSet', async () => {
    const text = await described();
    return text.includes('FailedCreate') && text;
  });
  expect(said).toMatch(/Warning +FailedCreate .*admission webhook "namespace.injection.mtls-operator.io" denied/);
  expect(said).toContain(message);
  const condition = 'jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}';
  const condensed = await waitFor('the condition of the Deployment', () =>
    cluster.kubectl(['get', 'deployment', 'web', '-n', namespace, '-o', condition]),
  );
  expect(condensed).toContain(message);
});

test('a pod elsewhere is left as it is, unless it asks', async () => {
  expect(await create('web', 'plain')).not.toContain('mtls-proxy');
  const metadata = { labels: { [labels.injection]: 'enabled' } };
  expect(await create('web', 'plain', undefined, metadata)).toContain('mtls-proxy');
});

describe('the server', () => {
  function ask(path: string, method: string, body: string | Buffer): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: webhook.port, path, method, ca: ca.files['ca.crt'], agent: false };
      const asked = request(options, (response) => {
        response.resume().once('end', () => resolve(response.statusCode));
      });
      asked.once('error', reject);
      asked.end(body);
    });
  }

  test.each([
    ['another path', '/', 'POST', '{}', 404],
    ['another method', INJECTION_PATH, 'PUT', '{}', 405],
    ['what is no review', INJECTION_PATH, 'POST', '{"kind":"Pod"}', 400],
    ['what is no JSON', INJECTION_PATH, 'POST', '\u0000', 400],
    ['more than the API server ever sends', INJECTION_PATH, 'POST', Buffer.alloc(5 * 1024 * 1024, 32), 413],
  ])('refuses %s, and goes on', async (_, path, method, body, status) => {
    expect(await ask(path, method, body)).toBe(status);
    expect(await create('web', 'shop')).toContain('mtls-proxy');
  });

  function shown(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: webhook.port, ca: ca.files['ca.crt'] }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }

  test('shows another certificate as soon as it has one', async () => {
    const before = await shown();
    webhook.replaceCertificate(await servingCertificate());
    expect(await shown()).not.toBe(before);
    expect(await create('web', 'shop')).toContain('mtls-proxy');
  });
});

describe('while nobody answers', () => {
  beforeAll(() => webhook.close());

  test('no pod starts unprotected where the mesh was asked for', async () => {
    expect(await refusal('web', 'shop')).toContain('failed calling webhook "namespace.injection.mtls-operator.io"');
  });

  test('pods elsewhere start as ever', async () => {
    expect(await create('web', 'plain')).toContain('web');
  });

  test('all is well when it is back', async () => {
    webhook = await serve(webhook.port);
    await waitFor('the webhook to be called', async () => (await create('web', 'shop')).includes('mtls-proxy'));
  });
});
