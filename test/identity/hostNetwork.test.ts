/** What users see of pods that have the network of their host, on a real API server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { labels } from '../../src/api/index.ts';
import { type World, waitFor } from '../certificate/world.ts';
import { startMeshWorld } from './mesh.ts';

let world: World;

beforeAll(async () => {
  world = await startMeshWorld();
});

afterAll(() => world?.[Symbol.asyncDispose]());

async function startOnHost(namespace: string, name: string, metadata: object = {}): Promise<void> {
  await world.send('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name, ...metadata },
    spec: { hostNetwork: true, containers: [{ name: 'main', image: 'registry.invalid/none' }] },
  });
}

async function account(namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await waitFor('the service account `default`', async () => (await world.find(path)) !== undefined);
}

const described = (namespace: string, pod: string): Promise<string> =>
  world.cluster.kubectl(['describe', 'pod', pod, '-n', namespace]);

test('kubectl describe says why a pod with the network of its host has no sidecar, and what to do', async () => {
  const namespace = await world.namespace('host', { [labels.injection]: 'enabled' });
  await account(namespace);
  await startOnHost(namespace, 'out', { labels: { [labels.injection]: 'disabled' } });
  await startOnHost(namespace, 'agent');
  const said = await waitFor('the event', async () => {
    const text = await described(namespace, 'agent');
    return text.includes('HostNetwork') && text;
  });
  expect(said).toMatch(/Warning +HostNetwork .*no sidecar can stand between: it stays without one/);
  expect(said).toContain(`label its template ${labels.injection}=disabled`);
  expect((await world.events(namespace, 'agent')).map(({ reason }) => reason)).toEqual(['HostNetwork']);
  // It came before, and would have been told of by now.
  expect(await described(namespace, 'out')).not.toContain('HostNetwork');
});

test('a namespace that asks later has it said of pods that are there', async () => {
  const namespace = await world.namespace('host');
  await account(namespace);
  await startOnHost(namespace, 'agent');
  await world.cluster.kubectl(['label', 'namespace', namespace, `${labels.injection}=enabled`]);
  await world.event(namespace, 'agent', 'HostNetwork');
});
