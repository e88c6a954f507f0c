/**
 * spec.restart against a real API server, with the Deployment controller of Kubernetes. There is no node: pods stay Pending, and what has been restarted shows in
 * the ReplicaSets. How rollouts end is told by the tests themselves, in the status that StatefulSet and Deployment controllers write elsewhere.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Condition, findCondition, type WorkloadCertificate } from '../../src/api/index.ts';
import { restartRules } from '../../src/api/rbac.ts';
import { inSeconds, World, waitFor } from '../certificate/world.ts';
import { grantToOperator, operatorUser } from '../support/operator.ts';
import { Workloads, workloadBody } from './workloads.ts';

let world: World;
let workloads: Workloads;
let namespace: string;

const ROLES = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
const BINDINGS = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
const web = { kind: 'Deployment', name: 'web' };

const grantRestarts = (): Promise<void> => grantToOperator(world.cluster, 'restarts', restartRules);

beforeAll(async () => {
  world = await World.start(['--create-default-authority', '--max-restarts', '2']);
  workloads = new Workloads(world);
  await grantRestarts();
});

afterAll(() => world?.[Symbol.asyncDispose]());

beforeEach(async () => {
  namespace = await world.namespace('restart');
});

const restarted = ({ status }: WorkloadCertificate): Condition | undefined =>
  findCondition(status.conditions, 'Restarted');

async function reason(name: string, wanted: string): Promise<Condition> {
  const found = await world.until(
    namespace,
    name,
    `to have the reason ${wanted} for Restarted`,
    (certificate) => restarted(certificate)?.reason === wanted,
  );
  const condition = restarted(found);
  if (condition === undefined) throw new Error('there is no condition Restarted');
  return condition;
}

/** @returns the serial number of the certificate that is then in the Secret */
async function renew(name: string): Promise<string> {
  const { revision } = await world.secret(namespace, name);
  await world.annotate(namespace, name, { 'mtls-operator.io/renew-at': inSeconds(-1) });
  const renewed = await world.secretWhen(namespace, name, 'to be renewed', (secret) => secret.revision > revision);
  return renewed.serialNumber;
}

async function restartedFor(name: string, serialNumber: string, secretName = name): Promise<void> {
  await waitFor(`Deployment ${name} to be restarted for ${serialNumber}`, async () => {
    return (await workloads.restartedFor(namespace, 'deployments', name, secretName)) === serialNumber;
  });
}

/** What a Deployment whose pods never come gives up after, in seconds. */
const impatient = { progressDeadlineSeconds: 1 };

/** A Deployment whose pods wait for the Secret, then the certificate. */
async function deploy(name: string, restart: readonly object[], more: object = impatient): Promise<void> {
  await workloads.create(namespace, 'deployments', workloadBody(name, name, more));
  await world.createSimple(namespace, name, { restart });
  await world.ready(namespace, name);
}

describe('a Deployment', () => {
  test('is not restarted at first issuance, and once after each renewal, when the certificate is in the Secret', async () => {
    await deploy('web', [web]);
    const first = await world.secret(namespace, 'web');
    expect((await reason('web', 'Restarted')).message).toContain(first.serialNumber);
    expect((await workloads.get(namespace, 'deployments', 'web')).metadata.generation).toBe(1);

    for (const [index, generation] of [2, 3].entries()) {
      const mark = await world.auditMark();
      const serialNumber = await renew('web');
      await restartedFor('web', serialNumber);
      const writes = await world.writesSince(mark);
      const order = writes.map(({ resource }) => resource);
      expect(order.indexOf('secrets')).toBeLessThan(order.indexOf('deployments'));
      expect(order.filter((resource) => resource === 'deployments')).toHaveLength(1);
      const deployment = await workloads.get(namespace, 'deployments', 'web');
      expect(deployment.metadata.generation).toBe(generation);
      await waitFor('the Deployment controller to begin the rollout', async () => {
        return (await workloads.replicaSets(namespace, 'web')).length === index + 2;
      });
      // No node takes the pods: Kubernetes gives up, and the condition says so.
      expect((await reason('web', 'RestartStalled')).message).toMatch(/Deployment "web": .*progress/);
    }
    expect((await world.event(namespace, 'web', 'Restarting')).note).toMatch(
      /Restarting Deployment "web": certificate/,
    );
  });

  test('is not restarted again by an operator that was restarted', async () => {
    await deploy('web', [web]);
    await reason('web', 'Restarted');
    const serialNumber = await renew('web');
    await restartedFor('web', serialNumber);
    await reason('web', 'RestartStalled');
    const { metadata } = await workloads.get(namespace, 'deployments', 'web');
    // Nobody has told status that it is through: what it was restarted for stands on the workload.
    await world.restartOperator();
    const mark = await world.auditMark();
    await reason('web', 'RestartStalled');
    const other = { kind: 'Deployment', name: 'other' };
    await world.patch(namespace, 'web', { spec: { restart: [web, other] } });
    await reason('web', 'WorkloadNotFound');
    const writes = await world.writesSince(mark);
    expect(writes.filter(({ resource }) => resource === 'deployments')).toEqual([]);
    expect((await workloads.get(namespace, 'deployments', 'web')).metadata.generation).toBe(metadata.generation);
  });

  test('that was renewed while no operator ran for it is restarted by the next', async () => {
    await deploy('web', []);
    const serialNumber = await renew('web');
    await world.operator.kill();
    await world.patch(namespace, 'web', { spec: { restart: [web] } });
    await world.startOperator();
    await restartedFor('web', serialNumber);
  });

  test('that came after the certificate, or wants no pods, is left alone', async () => {
    await world.createSimple(namespace, 'web', {});
    await world.ready(namespace, 'web');
    await renew('web');
    await workloads.create(namespace, 'deployments', workloadBody('empty', 'web', { replicas: 0 }));
    // Times of the API server are whole seconds.
    const { notBefore } = (await world.certificate(namespace, 'web')).status;
    await waitFor('the next second', () => Date.now() > Date.parse(notBefore ?? '') + 302_000);
    await workloads.create(namespace, 'deployments', workloadBody('late', 'web', impatient));
    const restart = ['empty', 'late'].map((name) => ({ kind: 'Deployment', name }));
    await world.patch(namespace, 'web', { spec: { restart } });
    await reason('web', 'Restarted');
    for (const name of ['empty', 'late']) {
      expect((await workloads.get(namespace, 'deployments', name)).metadata.generation).toBe(1);
    }
  });

  test('is restarted for each of two Secrets that it mounts, the second when the first is through', async () => {
    await deploy('web', [web]);
    await world.createSimple(namespace, 'client', { restart: [web] });
    await reason('web', 'Restarted');
    await reason('client', 'Restarted');
    const [server, client] = await Promise.all([renew('web'), renew('client')]);
    await restartedFor('web', server);
    await restartedFor('web', client, 'client');
    expect((await workloads.get(namespace, 'deployments', 'web')).metadata.generation).toBe(3);
  });

  test('whose Secret was deleted by hand is restarted for the new certificate', async () => {
    await deploy('web', [web]);
    await reason('web', 'Restarted');
    const before = await world.secret(namespace, 'web');
    await world.removeSecret(namespace, 'web');
    const after = await world.secretWhen(
      namespace,
      'web',
      'to be made anew',
      (secret) => secret.serialNumber !== before.serialNumber,
    );
    await restartedFor('web', after.serialNumber);
  });
});

describe('a workload that cannot be restarted', () => {
  test('for it is missing is told of, and restarted when it comes; issuance goes on', async () => {
    await deploy('web', [{ kind: 'Deployment', name: 'absent' }]);
    expect((await reason('web', 'WorkloadNotFound')).message).toContain(
      'Deployment "absent": there is no such workload',
    );
    await world.event(namespace, 'web', 'WorkloadNotFound');
    await renew('web');
    await world.ready(namespace, 'web');
  });

  test('for it is paused is told of, and restarted once it is resumed', async () => {
    await deploy('web', [web], { paused: true, ...impatient });
    await reason('web', 'Restarted');
    const serialNumber = await renew('web');
    expect((await reason('web', 'WorkloadHeldBack')).message).toContain('it is paused: resume it');
    expect((await workloads.get(namespace, 'deployments', 'web')).metadata.generation).toBe(1);
    await workloads.patch(namespace, 'deployments', 'web', { spec: { paused: false } });
    await restartedFor('web', serialNumber);
  });

  test('for the operator may not is told of, with what to do', async () => {
    await world.send('DELETE', `${BINDINGS}/restarts`);
    await world.send('DELETE', `${ROLES}/restarts`);
    try {
      await waitFor('the permission to be gone', async () => {
        const answer = world.cluster.kubectl(['auth', 'can-i', 'patch', 'deployments.apps', '-n', namespace], {
          as: operatorUser,
        });
        return await answer.then(
          () => false,
          () => true,
        );
      });
      await deploy('web', [web]);
      const { message } = await reason('web', 'RestartForbidden');
      expect(message).toContain('The operator needs the verbs get and patch on deployments: set restart.enabled');
      const serialNumber = await renew('web');
      // Status is written after the Secret.
      await world.until(
        namespace,
        'web',
        'to tell of the new one',
        ({ status }) => status.serialNumber === serialNumber,
      );
      await world.ready(namespace, 'web');
    } finally {
      await grantRestarts();
    }
  });

  test('is forgotten when spec.restart is taken away', async () => {
    await deploy('web', [{ kind: 'Deployment', name: 'absent' }]);
    await reason('web', 'WorkloadNotFound');
    await world.patch(namespace, 'web', { spec: { restart: null } });
    await world.until(namespace, 'web', 'to have no condition Restarted', (found) => restarted(found) === undefined);
  });
});

describe('StatefulSets and DaemonSets', () => {
  test('are restarted, in progress until their controllers say otherwise, and done then', async () => {
    await workloads.create(namespace, 'statefulsets', workloadBody('db', 'db', { serviceName: 'db' }));
    await workloads.create(namespace, 'daemonsets', workloadBody('agent', 'db'));
    await workloads.patchStatus(namespace, 'daemonsets', 'agent', { desiredNumberScheduled: 2, observedGeneration: 1 });
    await world.createSimple(namespace, 'db', {
      restart: [
        { kind: 'StatefulSet', name: 'db' },
        { kind: 'DaemonSet', name: 'agent' },
      ],
    });
    await reason('db', 'Restarted');
    const serialNumber = await renew('db');
    await reason('db', 'RestartInProgress');
    for (const [plural, name] of [
      ['statefulsets', 'db'],
      ['daemonsets', 'agent'],
    ] as const) {
      await waitFor(`${name} to be restarted`, async () => {
        return (await workloads.restartedFor(namespace, plural, name, 'db')) === serialNumber;
      });
    }
    // As their controllers would once all pods are new.
    await workloads.patchStatus(namespace, 'statefulsets', 'db', {
      observedGeneration: 2,
      currentRevision: 'b',
      updateRevision: 'b',
    });
    await workloads.patchStatus(namespace, 'daemonsets', 'agent', { observedGeneration: 2, updatedNumberScheduled: 2 });
    const { message } = await reason('db', 'Restarted');
    expect(message).toContain(serialNumber);
    expect((await world.certificate(namespace, 'db')).status.restartedSerialNumber).toBe(serialNumber);
  });
});

describe('many at once', () => {
  test('are restarted two at a time, as the flag says, each once', async () => {
    const names = Array.from({ length: 5 }, (_, index) => `web-${index}`);
    for (const name of names) {
      await workloads.create(namespace, 'statefulsets', workloadBody(name, 'shared', { serviceName: name }));
    }
    await world.createSimple(namespace, 'shared', { restart: names.map((name) => ({ kind: 'StatefulSet', name })) });
    await reason('shared', 'Restarted');
    const serialNumber = await renew('shared');
    const done = new Set<string>();
    const underWay = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const name of names) {
        const mark = await workloads.restartedFor(namespace, 'statefulsets', name, 'shared');
        if (mark === serialNumber && !done.has(name)) found.push(name);
      }
      return found;
    };
    let most = 0;
    while (done.size < names.length) {
      const next = await waitFor('the next to be restarted', async () => {
        const found = await underWay();
        most = Math.max(most, found.length);
        const full = found.length === Math.min(2, names.length - done.size);
        return full ? found[0] : undefined;
      });
      done.add(next);
      const status = { observedGeneration: 2, currentRevision: 'b', updateRevision: 'b' };
      await workloads.patchStatus(namespace, 'statefulsets', next, status);
    }
    expect(most).toBe(2);
    await reason('shared', 'Restarted');
    for (const name of names) {
      expect((await workloads.get(namespace, 'statefulsets', name)).metadata.generation).toBe(2);
    }
  });
});
