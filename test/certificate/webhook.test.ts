/** A mutating webhook of somebody else that changes Secrets while they are written: no event tells of it, only the answer to the write does. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRecord } from '../../src/kube/index.ts';
import { json, type MisbehavingServer, startMisbehavingServer } from '../kube/misbehavingServer.ts';
import { condition, World, type Write, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

interface Webhook extends AsyncDisposable {
  /** Where it works, and nowhere else. */
  readonly namespace: string;
}

/** A namespace in which each Secret is written with these data instead of what was sent, and with a label and an annotation of the webhook's own. */
async function startWebhook(data: Readonly<Record<string, string>>): Promise<Webhook> {
  const server = await startMisbehavingServer((_, response) => answer(server, response, data));
  const namespace = await world.namespace('webhook');
  await world.send('POST', WEBHOOKS, {
    metadata: { name: namespace },
    webhooks: [
      {
        name: 'secrets.example.com',
        clientConfig: { url: `${server.url}/mutate`, caBundle: Buffer.from(server.caPem).toString('base64') },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'], operations: ['CREATE', 'UPDATE'] }],
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Ignore', // not asked any more a moment after its server is gone
      },
    ],
  });
  await waitFor('the webhook to be asked', async () => {
    await world.createSecret(namespace, { metadata: { name: 'probe' } });
    const probe = await world.secretObject(namespace, 'probe');
    await world.removeSecret(namespace, 'probe');
    return probe.metadata.annotations['example.com/seen'] === 'yes';
  });
  return {
    namespace,
    [Symbol.asyncDispose]: async () => {
      await world.send('DELETE', `${WEBHOOKS}/${namespace}`);
      await server.close();
    },
  };
}

function answer(server: MisbehavingServer, response: ServerResponse, data: Readonly<Record<string, string>>): void {
  const request = asRecord(asRecord(JSON.parse(server.requests.at(-1)?.body ?? ''))['request']);
  const secret = asRecord(request['object']);
  const metadata = asRecord(secret['metadata']);
  const added = (field: string): object => ({ ...asRecord(metadata[field] ?? {}), 'example.com/seen': 'yes' });
  const patch = [
    { op: 'add', path: '/metadata/labels', value: added('labels') },
    { op: 'add', path: '/metadata/annotations', value: added('annotations') },
    { op: 'add', path: '/data', value: { ...asRecord(secret['data'] ?? {}), ...data } },
  ];
  json(response, {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid: request['uid'],
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    },
  });
}

async function secretWrites(namespace: string, mark: number): Promise<Write[]> {
  const writes = await world.writesSince(mark);
  return writes.filter((write) => write.namespace === namespace && write.resource === 'secrets');
}

test('one that adds labels, annotations and data of its own is left alone', async () => {
  await using webhook = await startWebhook({ 'theirs.txt': Buffer.from('theirs').toString('base64') });
  const { namespace } = webhook;
  const mark = await world.auditMark();
  await world.createSimple(namespace, 'web');
  await world.ready(namespace, 'web');
  await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
  const secret = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
  expect(secret.object.metadata).toMatchObject({
    labels: { 'example.com/seen': 'yes' },
    annotations: { 'example.com/seen': 'yes' },
  });
  expect(secret.text('theirs.txt')).toBe('theirs');
  await world.ready(namespace, 'web');
  // What is written after all that has been looked at.
  const other = await world.namespace();
  await world.createSimple(other, 'last');
  await world.ready(other, 'last');
  expect(await secretWrites(namespace, mark)).toHaveLength(2);
});

test.concurrent.each(['ca.crt', 'tls.crt', 'tls.key'])(
  'one that overwrites %s is noticed by the answer alone, damped and told of; without it all is well',
  async (key) => {
    const mark = await world.auditMark();
    const { namespace } = await (async () => {
      await using webhook = await startWebhook({ [key]: Buffer.from('changed in writing').toString('base64') });
      const { namespace } = webhook;
      await world.createSimple(namespace, 'web');
      const { message } = await world.reason(namespace, 'web', 'Issuing', 'Damped');
      expect(message).toContain('webhook');
      expect(message).not.toContain('deletes the Secret');
      expect((await world.event(namespace, 'web', 'Damped')).note).toContain('webhook');
      expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('False');
      // Others are not held up by it, and it does not go on at speed meanwhile.
      const other = await world.namespace();
      await world.createSimple(other, 'web');
      await world.ready(other, 'web');
      expect((await secretWrites(namespace, mark)).length).toBeLessThanOrEqual(4);
      return webhook;
    })();
    await world.ready(namespace, 'web', { timeoutMs: 60_000 });
    await world.secret(namespace, 'web');
    expect((await secretWrites(namespace, mark)).length).toBeLessThanOrEqual(6);
  },
);
