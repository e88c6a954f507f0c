// examples/containers as two pods: a Go server and a Go client that know each other by single-label names, on a real kubelet, through a renewal.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster/index.ts';
import { installOperator, type OperatorProcess, startOperatorProcess } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import {
  type GreetingsLine,
  greetingsImage,
  greetingsPod,
  lastLine,
  makeGreetingsImage,
  mounted,
} from './greetings.ts';
import { startClusterWithNode } from './index.ts';

const root = join(import.meta.dirname, '..', '..');
const example = join(root, 'examples', 'containers');
const NAMESPACE = 'containers';

let cluster: Cluster;
let operator: OperatorProcess;

beforeAll(async () => {
  const started = await startClusterWithNode({ log: printProgress });
  cluster = started.cluster;
  await started.node.load(await makeGreetingsImage(greetingsImage, printProgress));
  await installOperator(cluster);
  operator = await startOperatorProcess(cluster);
  // The pods come first: they wait for their Secrets.
  await kubectl('create', 'namespace', NAMESPACE);
  await waitFor('the service account of pods', () => kubectl('get', 'serviceaccount', 'default'));
  await cluster.kubectl(['apply', '-f', join(example, 'pods.yaml')]);
  await cluster.kubectl(['apply', '-f', join(example, 'certificates.yaml')]);
  await kubectl('wait', '--for=condition=Ready', 'pod/greeter', 'pod/visitor', '--timeout=120s');
});

afterAll(async () => {
  await operator?.stop();
  await cluster?.stop();
});

const kubectl = (...args: readonly string[]): Promise<string> => cluster.kubectl([...args, '-n', NAMESPACE]);

const last = async (pod: string, msg: string): Promise<GreetingsLine | undefined> =>
  lastLine(await kubectl('logs', pod), msg);

/** One connection from a pod of its own. @returns what it said. */
async function visit(name: string, secretName: string, connect = 'greeter:8443'): Promise<string> {
  const command = ['/client', '-connect', connect, '-times', '1'];
  const pod = greetingsPod({ name, namespace: NAMESPACE, command, files: mounted(secretName), once: true });
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
  await waitFor(`pod ${name} to end`, async () =>
    ['Succeeded', 'Failed'].includes(await kubectl('get', 'pod', name, '-o', 'jsonpath={.status.phase}')),
  );
  return await kubectl('logs', name);
}

async function certificate(name: string, spec: object): Promise<void> {
  const metadata = { name, namespace: NAMESPACE };
  const object = {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata,
    spec: { secretName: `${name}-mtls`, ...spec },
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
  await kubectl('wait', '--for=condition=Ready', 'wcert', name, '--timeout=60s');
}

test('they greet each other by single-label names', async () => {
  await waitFor('the client to be greeted', async () => Number((await last('visitor', 'count'))?.['handshakes']) > 5);
  expect(await last('visitor', 'peer')).toMatchObject({ name: 'greeter' });
  expect(await last('greeter', 'peer')).toMatchObject({ name: 'visitor' });
});

describe('refused is', () => {
  test('a server by a name that is not in its certificate', async () => {
    const said = await visit('by-another-name', 'visitor-mtls', 'greeter.containers.svc:8443');
    expect(said).toContain('valid for greeter, not greeter.containers.svc');
  });

  test('a client with a certificate for servers', async () => {
    expect(await visit('posing', 'greeter-mtls')).toContain('bad certificate');
  });

  test('a client of another authority', async () => {
    const authority = {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'foreign' },
      spec: { trustDomain: 'foreign.example.com', selfSigned: {} },
    };
    await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(authority) });
    const dnsNames = ['stranger.containers.svc'];
    await certificate('stranger', { dnsNames, authorityRef: { name: 'foreign' }, usages: ['client auth'] });
    expect(await visit('stranger', 'stranger-mtls')).toContain('unknown authority');
  });
});

test('a renewal reaches both while they run, and no connection fails', async () => {
  const before = { greeter: await last('visitor', 'peer'), visitor: await last('greeter', 'peer') };
  const failures = Number((await last('visitor', 'count'))?.['failures']);
  const at = new Date().toISOString();
  await kubectl('annotate', 'wcert', 'greeter', 'visitor', `mtls-operator.io/renew-at=${at}`);
  await waitFor(
    'the client to see the new server',
    async () => (await last('visitor', 'peer'))?.['serial'] !== before.greeter?.['serial'],
  );
  await waitFor(
    'the server to see the new client',
    async () => (await last('greeter', 'peer'))?.['serial'] !== before.visitor?.['serial'],
  );
  expect(Number((await last('visitor', 'count'))?.['failures'])).toBe(failures);
});
