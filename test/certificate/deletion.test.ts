/** What becomes of the Secret: deletionPolicy with the real garbage collector, and changes of it that the operator may not make. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const gone = (namespace: string, name: string) =>
  // The garbage collector looks for kinds that are new to it every 30 s only.
  waitFor(
    `Secret ${namespace}/${name} to be gone`,
    async () => (await world.findSecret(namespace, name)) === undefined,
    { timeoutMs: 75_000 },
  );

describe('deletionPolicy', () => {
  test.concurrent('Delete has the garbage collector remove the Secret; Retain leaves it', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'kept');
    await world.createSimple(namespace, 'removed', { deletionPolicy: 'Delete' });
    for (const name of ['kept', 'removed']) await world.ready(namespace, name);
    const { metadata } = await world.certificate(namespace, 'removed');
    const removed = await world.secret(namespace, 'removed');
    expect(removed.object.metadata.ownerReferences).toMatchObject([
      { kind: 'WorkloadCertificate', name: 'removed', uid: metadata.uid },
    ]);
    const kept = await world.secret(namespace, 'kept');
    expect(kept.object.metadata.ownerReferences).toEqual([]);
    for (const name of ['kept', 'removed']) await world.remove(namespace, name);
    await gone(namespace, 'removed');
    expect(await world.secretObject(namespace, 'kept')).toEqual(kept.object);
  });

  test.concurrent('Delete keeps its owner through renewals and what others own beside it', async () => {
    const namespace = await world.namespace();
    const owner = await world.send('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
      metadata: { name: 'theirs' },
    });
    const { uid } = Object.fromEntries(Object.entries(owner['metadata'] ?? {}));
    const { metadata } = await world.createSimple(namespace, 'web', { deletionPolicy: 'Delete' });
    await world.ready(namespace, 'web');
    const ours = {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      name: 'web',
      uid: metadata.uid,
    };
    const theirs = { apiVersion: 'v1', kind: 'ConfigMap', name: 'theirs', uid };
    await world.patchSecret(namespace, 'web', { metadata: { ownerReferences: [ours, theirs] } });
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    expect(renewed.object.metadata.ownerReferences.map(({ kind }) => kind).sort()).toEqual([
      'ConfigMap',
      'WorkloadCertificate',
    ]);
    await world.ready(namespace, 'web');
  });

  test.concurrent('Delete gives a new Secret where a restored one names an owner that is no more', async () => {
    const namespace = await world.namespace();
    const { metadata } = await world.createSimple(namespace, 'web', { deletionPolicy: 'Delete' });
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    await world.remove(namespace, 'web');
    await gone(namespace, 'web');
    const stale = {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      name: 'web',
      uid: metadata.uid,
    };
    const { name, labels, annotations } = before.object.metadata;
    const { type, data } = before.object;
    await world.createSecret(namespace, {
      metadata: { name, labels, annotations, ownerReferences: [stale] },
      type,
      data,
    });
    const { metadata: again } = await world.createSimple(namespace, 'web', { deletionPolicy: 'Delete' });
    // The garbage collector takes the restored one, as is its right; then the certificate is issued anew, with its own owner.
    const after = await world.secretWhen(
      namespace,
      'web',
      'to be owned by the new one',
      ({ object }) => object.metadata.ownerReferences.some(({ uid }) => uid === again.uid),
      { timeoutMs: 75_000 },
    );
    await world.ready(namespace, 'web');
    expect(after.serialNumber).not.toBe(before.serialNumber);
  });

  const switches = [
    ['Retain', 'Delete'],
    ['Delete', 'Retain'],
  ] as const;

  test.concurrent.each(switches)(
    'changed from %s to %s on a live Secret: what cannot be done is said, with what to do',
    async (from, to) => {
      const namespace = await world.namespace();
      await world.createSimple(namespace, 'web', { deletionPolicy: from });
      await world.ready(namespace, 'web');
      const before = await world.secret(namespace, 'web');
      await world.patch(namespace, 'web', { spec: { deletionPolicy: to } });
      const issuing = await world.reason(namespace, 'web', 'Issuing', 'OwnerReferenceForbidden');
      expect(issuing.message).toMatch(
        /owner reference of Secret "web".*delete the Secret \(it is made anew at once\), or grant "delete"/,
      );
      expect((await world.secret(namespace, 'web')).serialNumber).toBe(before.serialNumber);
      // It is still said after a renewal, which goes on.
      await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
      await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
      await world.reason(namespace, 'web', 'Issuing', 'OwnerReferenceForbidden');
      // The advice works.
      await world.removeSecret(namespace, 'web');
      await world.ready(namespace, 'web');
      const after = await world.secret(namespace, 'web');
      expect(after.object.metadata.ownerReferences).toHaveLength(to === 'Delete' ? 1 : 0);
      await world.remove(namespace, 'web');
      if (to === 'Delete') await gone(namespace, 'web');
    },
  );
});

describe('the namespace', () => {
  test.concurrent('deleted while certificates are issued goes without a trace, and nothing hangs', async () => {
    const namespace = await world.namespace();
    for (let i = 0; i < 20; i += 1)
      await world.createSimple(namespace, `web-${i}`, { duration: '1m', renewBefore: '50s' });
    await world.send('DELETE', `/api/v1/namespaces/${namespace}`);
    await waitFor(
      'the namespace to be gone',
      async () => (await world.find(`/api/v1/namespaces/${namespace}`)) === undefined,
      { timeoutMs: 60_000 },
    );
    const other = await world.namespace();
    await world.createSimple(other, 'web');
    await world.ready(other, 'web');
    // Made again under the same name it starts from nothing.
    await world.send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await world.createSimple(namespace, 'web-0');
    await world.ready(namespace, 'web-0');
    expect((await world.secret(namespace, 'web-0')).revision).toBe(1);
    const failures = world.operator.log.filter(
      (line) => line['namespace'] === namespace && Number(line['level']) >= 50,
    );
    expect(failures).toEqual([]);
  });
});
