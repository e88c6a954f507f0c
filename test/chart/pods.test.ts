// The chart as users run it: the image on a real kubelet, whose API server admits nothing but `restricted` pods.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Cluster } from '../cluster/index.ts';
import { operatorImage } from '../image/operatorImage.ts';
import {
  type GreetingsLine,
  greetingsImage,
  greetingsPod,
  lastLine,
  makeGreetingsImage,
  mounted,
} from '../node/greetings.ts';
import { startClusterWithNode } from '../node/index.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { NAMESPACE } from './chart.ts';

let cluster: Cluster;
let helm: Helm;
let home: string;

beforeAll(async () => {
  const image = await operatorImage(printProgress);
  const started = await startClusterWithNode({ log: printProgress });
  cluster = started.cluster;
  await started.node.load(image.archive);
  await started.node.load(await makeGreetingsImage(greetingsImage, printProgress));
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home, cluster);
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(namespace) });
  await cluster.kubectl(['create', 'namespace', 'shop']);
});

afterAll(async () => {
  await cluster?.stop();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), uid: z.string() }),
      status: z.object({
        phase: z.string(),
        containerStatuses: z.array(z.object({ restartCount: z.number(), ready: z.boolean() })).default([]),
      }),
    }),
  ),
});

async function pods(): Promise<z.output<typeof podsSchema>['items']> {
  const selector = 'app.kubernetes.io/component=controller';
  return podsSchema.parse(
    JSON.parse(await cluster.kubectl(['get', 'pods', '-n', NAMESPACE, '-l', selector, '-o', 'json'])),
  ).items;
}

async function holder(): Promise<string> {
  const lease = ['get', 'lease', 'mtls-operator', '-n', NAMESPACE, '-o', 'jsonpath={.spec.holderIdentity}'];
  return (await cluster.kubectl(lease)).split('_')[0] ?? '';
}

async function issue(name: string, spec: object = { secretName: name, dnsNames: [`${name}.shop.svc`] }): Promise<void> {
  const metadata = { name, namespace: 'shop' };
  const object = { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'WorkloadCertificate', metadata, spec };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
  await cluster.kubectl(['wait', '--for=condition=Ready', 'wcert', name, '-n', 'shop', '--timeout=60s']);
}

test('helm install --wait: two replicas are ready, and one of them leads', async () => {
  await helm('install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--wait', '--timeout=3m');
  const running = await pods();
  expect(running.map(({ status }) => status.containerStatuses)).toMatchObject([
    [{ ready: true, restartCount: 0 }],
    [{ ready: true, restartCount: 0 }],
  ]);
  const leader = await waitFor('a leader', async () => (await holder()) || undefined);
  expect(running.map(({ metadata }) => metadata.name)).toContain(leader);
});

test('they issue', () => issue('first'));

test('helm test passes', async () => {
  expect(await helm('test', 'mtls-operator', '-n', NAMESPACE)).toMatch(/Phase:\s+Succeeded/);
});

test('helm upgrade replaces them without a gap, and the old ones end by themselves', async () => {
  const before = await pods();
  await helm(
    'upgrade',
    'mtls-operator',
    chartDirectory,
    '-n',
    NAMESPACE,
    '--wait',
    '--timeout=3m',
    '--set',
    'workers=8',
  );
  await waitFor('the old pods to be gone', async () => (await pods()).length === 2);
  const uids = before.map(({ metadata }) => metadata.uid);
  expect((await pods()).filter(({ metadata }) => uids.includes(metadata.uid))).toEqual([]);
  await issue('second');
  const names = (await pods()).map(({ metadata }) => metadata.name);
  expect(names).toContain(await holder());
});

describe('workloads that run', () => {
  let before: string;

  const shop = (...args: readonly string[]): Promise<string> => cluster.kubectl([...args, '-n', 'shop']);
  const secrets = (): Promise<string> =>
    shop(
      'get',
      'secret',
      ...names,
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.data}{";"}{end}',
    );
  const names = ['first', 'second', 'greeter-mtls', 'visitor-mtls'];
  const pod = (name: string): Promise<string> =>
    shop(
      'get',
      'pod',
      name,
      '-o',
      'jsonpath={.metadata.uid} {.status.phase} {.status.containerStatuses[0].restartCount}',
    );
  const count = async (): Promise<GreetingsLine> =>
    (await waitFor('the client to count', async () => lastLine(await shop('logs', 'visitor'), 'count'))) ?? {};

  /** Each of the client's connections is made anew. */
  async function goOnGreeting(): Promise<void> {
    const { failures, handshakes } = await count();
    await waitFor('ten more handshakes', async () => Number((await count())['handshakes']) >= Number(handshakes) + 10);
    expect((await count())['failures']).toBe(failures);
  }

  beforeAll(async () => {
    for (const [name, usages] of [
      ['greeter', ['server auth']],
      ['visitor', ['client auth']],
    ] as const) {
      const spec = { secretName: `${name}-mtls`, dnsNames: [`${name}.shop.svc`], usages };
      await issue(name, spec);
    }
    const serving = ['/server'];
    const visiting = ['/client', '-connect', 'greeter.shop.svc:8443'];
    for (const [name, command] of [
      ['greeter', serving],
      ['visitor', visiting],
    ] as const) {
      const object = greetingsPod({ name, namespace: 'shop', command, files: mounted(`${name}-mtls`) });
      await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
    }
    await shop('expose', 'pod', 'greeter', '--port=8443');
    await shop('wait', '--for=condition=Ready', 'pod/greeter', 'pod/visitor', '--timeout=120s');
    before = `${await secrets()}${await pod('greeter')} ${await pod('visitor')}`;
  });

  const asBefore = async (): Promise<void> =>
    expect(`${await secrets()}${await pod('greeter')} ${await pod('visitor')}`).toBe(before);

  test('helm uninstall takes the operator away, and leaves them and their certificates', async () => {
    await helm('uninstall', 'mtls-operator', '-n', NAMESPACE, '--wait');
    await waitFor('the pods to be gone', async () => (await pods()).length === 0);
    await goOnGreeting();
    await asBefore();
  });

  test('helm install again goes on with the same certificates, and renews them', async () => {
    await helm('install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--wait', '--timeout=3m');
    // Whatever it did not like about the others it would have mended before it issues a new one.
    await issue('third');
    await goOnGreeting();
    await asBefore();
    await shop('annotate', 'wcert', 'greeter', `mtls-operator.io/renew-at=${new Date().toISOString()}`);
    await waitFor('the certificate to be renewed', async () => !before.startsWith(await secrets()));
    await goOnGreeting();
  });
});
