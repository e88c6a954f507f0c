/** Who still runs on an old certificate, told against a real API server. There is no node: the tests write the status of pods as a kubelet would. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WorkloadCertificate } from '../../src/api/index.ts';
import { inventoryRules } from '../../src/api/rbac.ts';
import { inSeconds, World, waitFor } from '../certificate/world.ts';
import { grantToOperator } from '../support/operator.ts';

let world: World;
let namespace: string;

beforeAll(async () => {
  world = await World.start(['--create-default-authority', '--watch-pods']);
});

afterAll(() => world?.[Symbol.asyncDispose]());

beforeEach(async () => {
  namespace = await world.namespace('pods');
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await waitFor('the service account `default`', () => world.find(account));
});

const pods = (name?: string): string => `/api/v1/namespaces/${namespace}/pods${name === undefined ? '' : `/${name}`}`;

/** A pod that mounts the Secret and, as far as the API server knows, runs since then. */
async function run(name: string, secretName: string, startedAt: Date, mount: object = {}): Promise<void> {
  await world.send('POST', pods(), {
    metadata: { name },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'registry.invalid/none',
          volumeMounts: [{ name: 'mtls', mountPath: '/var/run/mtls', ...mount }],
        },
      ],
      volumes: [{ name: 'mtls', secret: { secretName } }],
    },
  });
  await start(name, startedAt);
}

async function start(name: string, startedAt: Date): Promise<void> {
  const state = { running: { startedAt: startedAt.toISOString().replace(/\.\d+Z$/, 'Z') } };
  const status = { name: 'main', state, ready: true, restartCount: 0, image: 'none', imageID: 'none' };
  await world.send('PATCH', `${pods(name)}/status`, { status: { phase: 'Running', containerStatuses: [status] } });
}

type Consumers = WorkloadCertificate['status']['consumers'];

async function consumers(name: string, wanted: Consumers): Promise<void> {
  await world.until(namespace, name, `to have the consumers ${JSON.stringify(wanted)}`, ({ status }) => {
    return JSON.stringify(status.consumers) === JSON.stringify(wanted);
  });
}

const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

describe('an operator that may not look at pods', () => {
  test('issues all the same, and says nothing about consumers', async () => {
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    expect((await world.certificate(namespace, 'web')).status.consumers).toBeUndefined();
    await grantToOperator(world.cluster, 'pods', inventoryRules);
    await run('web-0', 'web', minutesAgo(-1));
    await consumers('web', { pods: 1, startedBeforeRenewal: 0, neverUpdated: 0 });
  });
});

describe('status.consumers', () => {
  test('names the pods that were started before the renewal, those that are never updated first', async () => {
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await run('web-a', 'web', new Date());
    await run('web-b', 'web', new Date(), { subPath: 'tls.crt' });
    await run('other', 'elsewhere', minutesAgo(60));
    await consumers('web', { pods: 2, startedBeforeRenewal: 0, neverUpdated: 0 });

    // Times of the API server are whole seconds.
    const second = Math.floor(Date.now() / 1000);
    await waitFor('the next second', () => Math.floor(Date.now() / 1000) > second);
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    await consumers('web', { pods: 2, startedBeforeRenewal: 2, neverUpdated: 1, names: ['web-b', 'web-a'] });
    const metrics = await world.operator.metrics();
    const labels = `{namespace="${namespace}",name="web"}`;
    expect(metrics).toContain(`mtls_operator_pods_using_certificate${labels} 2\n`);
    expect(metrics).toContain(`mtls_operator_pods_started_before_renewal${labels} 2\n`);
    expect(metrics).toContain(`mtls_operator_pods_never_updated${labels} 1\n`);

    // Its container was started again, as after a crash: it has what is in the Secret now.
    await start('web-b', minutesAgo(-1));
    await consumers('web', { pods: 2, startedBeforeRenewal: 1, neverUpdated: 0, names: ['web-a'] });
    await world.send('DELETE', `${pods('web-a')}?gracePeriodSeconds=0`);
    await world.send('DELETE', `${pods('web-b')}?gracePeriodSeconds=0`);
    await consumers('web', undefined);
  });

  test('is written once however many pods come at once, and outlives renewals and restarts of the operator', async () => {
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const mark = await world.auditMark();
    for (let index = 0; index < 12; index += 1) await run(`web-${index}`, 'web', minutesAgo(-1));
    await consumers('web', { pods: 12, startedBeforeRenewal: 0, neverUpdated: 0 });
    const writes = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
    expect(writes.length).toBeLessThanOrEqual(2);
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });
    const { revision } = await world.secretWhen(namespace, 'web', 'to be renewed', (secret) => secret.revision === 2);
    const renewed = await world.until(namespace, 'web', 'to tell of it', ({ status }) => status.revision === revision);
    expect(renewed.status.consumers?.pods).toBe(12);
    const before = await world.auditMark();
    await world.restartOperator();
    await world.createSimple(namespace, 'next');
    await world.ready(namespace, 'next');
    const after = await world.writesSince(before);
    expect(after.filter(({ name, namespace: of }) => of === namespace && name === 'web')).toEqual([]);
  });
});
