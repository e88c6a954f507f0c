import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventRecorder, type EventInput, FakeClock, property, stringAt } from '../../src/kube/index.ts';
import { type ApiServer, type Client, createNamespace, NEVER, startApiServer } from './support.ts';

let server: ApiServer;
let client: Client;

beforeAll(async () => {
  server = await startApiServer();
  client = server.client;
});
afterAll(() => server?.[Symbol.asyncDispose]());

async function outcome(name: string): Promise<string | undefined> {
  const text = await client.metrics.registry.metrics();
  return new RegExp(`events_recorded_total\\{outcome="${name}"\\} (\\d+)`).exec(text)?.[1];
}

test('the API server takes events, repetitions and events about cluster-scoped objects, and kubectl shows them', async () => {
  const namespace = await createNamespace(client, 'events');
  const clock = new FakeClock(Date.now());
  const recorder = createEventRecorder({
    transport: client.transport,
    clock,
    log: client.log,
    metrics: client.metrics,
    reportingController: 'mtls-operator.io/controller',
    reportingInstance: 'mtls-operator-6d5f-x2x',
  });
  const event: EventInput = {
    regarding: {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      namespace,
      name: 'web',
      uid: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
      resourceVersion: '7',
    },
    type: 'Warning',
    reason: 'SecretConflict',
    action: 'Issue',
    note: `the Secret belongs to another: ${'ü'.repeat(2_000)}`,
  };
  recorder.record(event);
  await recorder.drain(NEVER);
  recorder.record(event);
  await recorder.drain(NEVER);
  await clock.advance(60_000);
  recorder.record(event);
  recorder.record({
    ...event,
    type: 'Normal',
    reason: 'Created',
    regarding: { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'CertificateAuthority', name: 'default' },
  });
  await recorder.drain(NEVER);
  expect([await outcome('written'), await outcome('failed')]).toEqual(['4', undefined]);

  const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
  const list = await client.transport.request({ method: 'GET', path, signal: NEVER });
  const items = property(list, 'items');
  expect(items).toHaveLength(1);
  expect(items).toMatchObject([{ series: { count: 3 }, type: 'Warning', regarding: { name: 'web' } }]);
  expect(await server.cluster.kubectl(['events', '-n', namespace])).toContain('SecretConflict');
  expect(await server.cluster.kubectl(['get', 'events', '-n', 'default'])).toContain('certificateauthority/default');
  expect(stringAt(list, 'kind')).toBe('EventList');
});

test('an event for a namespace that does not exist is lost without harm', async () => {
  const recorder = createEventRecorder({
    transport: client.transport,
    clock: new FakeClock(Date.now()),
    log: client.log,
    metrics: client.metrics,
    reportingController: 'mtls-operator.io/controller',
    reportingInstance: 'x',
  });
  const regarding = { apiVersion: 'v1', kind: 'Secret', namespace: 'nowhere', name: 'web' };
  recorder.record({ regarding, type: 'Normal', reason: 'Issued', action: 'Issue', note: 'x' });
  await recorder.drain(NEVER);
  expect(await outcome('failed')).toBe('1');
});
