/** A program that reads its certificate once, on a real kubelet: only a restart brings it the new one, and a client sees when. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findCondition } from '../../src/api/index.ts';
import { inventoryRules, restartRules } from '../../src/api/rbac.ts';
import { makeWorkspace } from '../certificate/verifiers.ts';
import { inSeconds, World, waitFor } from '../certificate/world.ts';
import { makeProbeImage, startClusterWithNode } from '../node/index.ts';
import { mounting, Pods, probePod, programThatCannotReload } from '../node/pods.ts';
import { grantToOperator, installOperator } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';

const NAMESPACE = 'default';

let world: World;
let pods: Pods;

beforeAll(async () => {
  const { cluster, node } = await startClusterWithNode({ log: printProgress });
  world = new World(cluster, await makeWorkspace(), ['--create-default-authority', '--watch-pods']);
  await node.load(await makeProbeImage(printProgress));
  await installOperator(cluster);
  await grantToOperator(cluster, 'optional', [...restartRules, ...inventoryRules]);
  await world.startOperator();
  pods = new Pods(cluster);
});

afterAll(() => world?.[Symbol.asyncDispose]());

async function renew(): Promise<string> {
  const { revision } = await world.secret(NAMESPACE, 'web');
  await world.annotate(NAMESPACE, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });
  const { serialNumber } = await world.secretWhen(
    NAMESPACE,
    'web',
    'to be renewed',
    (secret) => secret.revision > revision,
  );
  return serialNumber;
}

/** The certificate that the client has seen last. It tells of an error, too, as of a connection to a pod that is just ending, and of a certificate only when it is another. */
async function served(): Promise<string | undefined> {
  const lines = (await pods.log('client')).trim().split('\n');
  return lines.findLast((line) => /^[0-9A-F]+$/.test(line));
}

async function consumers(wanted: { pods: number; startedBeforeRenewal: number; neverUpdated: number }): Promise<void> {
  await world.until(NAMESPACE, 'web', `to have the consumers ${JSON.stringify(wanted)}`, ({ status }) => {
    const { names: _, ...counts } = status.consumers ?? {};
    return JSON.stringify(counts) === JSON.stringify(wanted);
  });
}

async function restartedFor(serialNumber: string): Promise<void> {
  await world.until(
    NAMESPACE,
    'web',
    `to be restarted for ${serialNumber}`,
    ({ status }) =>
      findCondition(status.conditions, 'Restarted')?.status === 'True' && status.restartedSerialNumber === serialNumber,
    { timeoutMs: 90_000 },
  );
}

test('a program that cannot reload serves the old certificate until its Deployment is restarted, then the new one', async () => {
  await pods.apply(...programThatCannotReload('web', 'web'));
  await world.createSimple(NAMESPACE, 'web');
  await world.createSimple(NAMESPACE, 'client');
  await pods.apply(probePod('client', ['serial', 'web.default.svc:8443', '/mnt'], mounting('client')));
  // One program that reads its files again, beside the two that do not.
  await pods.apply(probePod('reader', ['watch', '/mnt/tls.crt'], mounting('web')));
  await pods.running('reader');
  await pods.running('client');
  await world.cluster.kubectl(['rollout', 'status', 'deployment/web', '--timeout=60s']);
  const first = (await world.secret(NAMESPACE, 'web')).serialNumber;
  await pods.says('client', first);

  // The certificate is made anew, and nobody restarts anything: status tells who may still have the old one.
  const running = { pods: 3, startedBeforeRenewal: 0, neverUpdated: 0 };
  await consumers(running);
  const second = await renew();
  await consumers({ ...running, startedBeforeRenewal: 3 });
  // The kubelet has brought the new files, as the one that reads them shows; the others do not care.
  await pods.says('reader', (await world.secret(NAMESPACE, 'web')).text('tls.crt').slice(0, 200));
  expect(await served()).toBe(first);

  await world.patch(NAMESPACE, 'web', { spec: { restart: [{ kind: 'Deployment', name: 'web' }] } });
  await restartedFor(second);
  await pods.says('client', second);
  await consumers({ ...running, startedBeforeRenewal: 1 });

  const third = await renew();
  await restartedFor(third);
  await waitFor('the client to see the third certificate', async () => (await served()) === third).catch(
    async (error: unknown) => {
      const replicas = await world.cluster.kubectl(['get', 'replicasets,pods', '-l', 'app=web', '-o', 'wide']);
      const said = `the client said ${await pods.log('client')} in place of ${third}, with ${replicas}`;
      throw new Error(`${String(error)}; ${said}`, { cause: error });
    },
  );
  // One restart for each certificate but the first.
  const revisions = await world.cluster.kubectl(['get', 'replicasets', '-l', 'app=web', '-o', 'name']);
  expect(revisions.trim().split('\n')).toHaveLength(3);
});
