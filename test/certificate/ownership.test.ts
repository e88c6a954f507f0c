/** Whose Secret is it? Nothing of others is ever overwritten, and what is ours comes back to its owner. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workloadCertificateKind } from '../../src/api/index.ts';
import type { SecretObject } from '../support/secret.ts';
import { certificateBody, condition, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const b64 = (text: string) => Buffer.from(text).toString('base64');
const tlsData = { 'tls.crt': b64('theirs'), 'tls.key': b64('theirs too') };

/** Secrets that somebody else has made, each a reason to stand back. */
const foreign: readonly [string, string, object, RegExp][] = [
  [
    'Opaque',
    'SecretTypeConflict',
    { type: 'Opaque', data: { password: b64('x') } },
    /exists with type "Opaque".*delete that Secret.*or choose another/,
  ],
  [
    'of type kubernetes.io/tls',
    'SecretConflict',
    { type: 'kubernetes.io/tls', data: tlsData },
    /not made by mtls-operator.*mtls-operator\.io\/adopt=web/,
  ],
  [
    'immutable',
    'SecretConflict',
    { type: 'kubernetes.io/tls', immutable: true, data: tlsData },
    /not made by mtls-operator/,
  ],
  [
    'with our label on it',
    'SecretConflict',
    { type: 'kubernetes.io/tls', labels: { 'mtls-operator.io/purpose': 'workload-certificate' }, data: tlsData },
    /not made by mtls-operator/,
  ],
];

describe('a Secret of somebody else', () => {
  test.concurrent.each(foreign)(
    '%s is left as it is, and the condition says %s',
    async (_, reason, { labels, ...secret }: { labels?: object }, advice) => {
      const namespace = await world.namespace();
      const before = await world.createSecret(namespace, {
        metadata: { name: 'web', ...(labels && { labels }) },
        ...secret,
      });
      await world.createSimple(namespace, 'web');
      const ready = await world.reason(namespace, 'web', 'Ready', reason);
      expect(ready.status).toBe('False');
      expect(ready.message).toMatch(advice);
      expect(condition(await world.certificate(namespace, 'web'), 'Issuing')).toMatchObject({ status: 'True', reason });
      expect((await world.event(namespace, 'web', reason)).type).toBe('Warning');
      expect(await world.secretObject(namespace, 'web')).toEqual(before);
      // Once it is out of the way the certificate comes, at the next look at the latest.
      await world.removeSecret(namespace, 'web');
      await world.annotate(namespace, 'web', { touched: 'yes' });
      await world.ready(namespace, 'web');
      await world.secret(namespace, 'web');
    },
  );

  test.concurrent('of type service-account-token is left as it is', async () => {
    const namespace = await world.namespace();
    await waitFor(
      'the default service account',
      async () => await world.find(`/api/v1/namespaces/${namespace}/serviceaccounts/default`),
    );
    await world.createSecret(namespace, {
      metadata: { name: 'web', annotations: { 'kubernetes.io/service-account.name': 'default' } },
      type: 'kubernetes.io/service-account-token',
    });
    const before = await waitFor('its token', async () => {
      const secret = await world.secretObject(namespace, 'web');
      return secret.data['token'] === undefined ? undefined : secret;
    });
    await world.createSimple(namespace, 'web');
    expect((await world.reason(namespace, 'web', 'Ready', 'SecretTypeConflict')).message).toContain(
      'kubernetes.io/service-account-token',
    );
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });

  test.concurrent('is taken over with the annotation adopt, and only by the one that it names', async () => {
    const namespace = await world.namespace();
    await world.createSecret(namespace, {
      metadata: { name: 'web', labels: { theirs: 'stays' }, annotations: { 'mtls-operator.io/adopt': 'other' } },
      type: 'kubernetes.io/tls',
      data: { ...tlsData, 'more.txt': b64('stays') },
    });
    await world.createSimple(namespace, 'web');
    await world.reason(namespace, 'web', 'Ready', 'SecretConflict');
    await world.patchSecret(namespace, 'web', { metadata: { annotations: { 'mtls-operator.io/adopt': 'web' } } });
    // It is in no cache of the operator's: noticed at the next look.
    await world.ready(namespace, 'web', { timeoutMs: 60_000 });
    const secret = await world.secret(namespace, 'web');
    expect(secret.object.metadata.labels['theirs']).toBe('stays');
    expect(secret.text('more.txt')).toBe('stays');
    expect(secret.object.metadata.annotations['mtls-operator.io/adopt']).toBeUndefined();
  });

  test.concurrent('that another edit of secretName points to is left as it is', async () => {
    const namespace = await world.namespace();
    const before = await world.createSecret(namespace, {
      metadata: { name: 'theirs' },
      type: 'kubernetes.io/tls',
      data: tlsData,
    });
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await world.patch(namespace, 'web', { spec: { secretName: 'theirs' } });
    await world.reason(namespace, 'web', 'Ready', 'SecretConflict');
    expect(await world.secretObject(namespace, 'theirs')).toEqual(before);
    await world.secret(namespace, 'web');
  });
});

describe('an immutable Secret', () => {
  test.concurrent('of ours cannot be renewed: the condition says to delete it, and then it is made anew', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const before = await world.patchSecret(namespace, 'web', { immutable: true });
    expect((await world.reason(namespace, 'web', 'Ready', 'SecretImmutable')).message).toMatch(
      /marked immutable.*delete it/,
    );
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    await world.removeSecret(namespace, 'web');
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).object.immutable).toBe(false);
  });
});

/** Waits until one of the two is Ready and the other stands back. @returns [holder, rival] */
async function settled(namespace: string, names: readonly [string, string]): Promise<[string, string]> {
  return await waitFor(`one of ${names.join(' and ')} to have the Secret`, async () => {
    const reasons = await Promise.all(
      names.map(async (name) => condition(await world.certificate(namespace, name), 'Ready')?.reason),
    );
    const [one, two] = names;
    if (reasons[0] === 'Ready' && reasons[1] === 'SecretConflict') return [one, two];
    if (reasons[1] === 'Ready' && reasons[0] === 'SecretConflict') return [two, one];
    return undefined;
  });
}

describe('two WorkloadCertificates for one Secret', () => {
  test.concurrent('the first keeps it, the second is told by whom it is held, and takes over when the first is gone', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'first', { secretName: 'shared' });
    await world.ready(namespace, 'first');
    const held = await world.secret(namespace, 'shared', { holder: 'first' });
    await world.createSimple(namespace, 'second', { secretName: 'shared' });
    const { message } = await world.reason(namespace, 'second', 'Ready', 'SecretConflict');
    expect(message).toContain('belongs to the WorkloadCertificate "first"');
    expect((await world.secretObject(namespace, 'shared')).metadata.resourceVersion).toBe(
      held.object.metadata.resourceVersion,
    );
    await world.remove(namespace, 'first');
    await world.ready(namespace, 'second');
    const taken = await world.secret(namespace, 'shared', { holder: 'second' });
    expect(taken.leaf.subjectAltName).toBe(`DNS:second.${namespace}.svc`);
    expect(taken.revision).toBe(2);
  });

  test.concurrent('made in the same second by one apply: one gets it, for good', async () => {
    const namespace = await world.namespace();
    const body = (name: string) =>
      certificateBody(namespace, name, { secretName: 'shared', dnsNames: [`${name}.${namespace}.svc`] });
    const list = { apiVersion: 'v1', kind: 'List', items: [body('a'), body('b')] };
    await world.cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
    const [holder, rival] = await settled(namespace, ['a', 'b']);
    const secret = await world.secret(namespace, 'shared', { holder });
    expect(secret.revision).toBe(1);
    // A look at both of them changes nothing.
    for (const name of [holder, rival]) await world.patch(namespace, name, { spec: { renewBefore: '1h' } });
    await world.until(
      namespace,
      holder,
      'to be looked at again',
      (found) => condition(found, 'Ready')?.status === 'True',
    );
    await world.reason(namespace, rival, 'Ready', 'SecretConflict');
    expect((await world.secretObject(namespace, 'shared')).metadata.resourceVersion).toBe(
      secret.object.metadata.resourceVersion,
    );
    // The one that stood back goes away by choosing another name.
    await world.patch(namespace, rival, { spec: { secretName: 'own' } });
    await world.ready(namespace, rival);
    await world.secret(namespace, 'own', { holder: rival });
  });

  test.concurrent('by an edit of secretName onto a live Secret: its holder keeps it', async () => {
    const namespace = await world.namespace();
    for (const name of ['web', 'late']) await world.createSimple(namespace, name);
    for (const name of ['web', 'late']) await world.ready(namespace, name);
    const before = await world.secretObject(namespace, 'web');
    await world.patch(namespace, 'late', { spec: { secretName: 'web' } });
    const { message } = await world.reason(namespace, 'late', 'Ready', 'SecretConflict');
    expect(message).toContain('"web"');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    await world.patch(namespace, 'late', { spec: { secretName: 'late' } });
    await world.ready(namespace, 'late');
    expect((await world.secret(namespace, 'late')).revision).toBe(1);
  });

  test.concurrent('the holder that moves to another Secret leaves it to the one that waits', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'first', { secretName: 'shared' });
    await world.ready(namespace, 'first');
    await world.createSimple(namespace, 'second', { secretName: 'shared' });
    await world.reason(namespace, 'second', 'Ready', 'SecretConflict');
    await world.patch(namespace, 'first', { spec: { secretName: 'elsewhere' } });
    await world.ready(namespace, 'second');
    await world.ready(namespace, 'first');
    await world.secret(namespace, 'shared', { holder: 'second' });
    await world.secret(namespace, 'elsewhere', { holder: 'first' });
  });
});

/** What a backup holds of a Secret: everything but what the API server gives. */
function backup({ metadata, type, data }: SecretObject) {
  const { name, labels, annotations } = metadata;
  return { metadata: { name, labels, annotations }, type, data };
}

describe('a WorkloadCertificate that is made again', () => {
  test.concurrent('takes its Secret back without a new certificate', async () => {
    const namespace = await world.namespace();
    const { metadata } = await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    await world.remove(namespace, 'web');
    await waitFor(
      'it to be gone',
      async () => (await world.find(workloadCertificateKind.path(namespace, 'web'))) === undefined,
    );
    await world.createSimple(namespace, 'web');
    const { status, metadata: again } = await world.ready(namespace, 'web');
    expect(again.uid).not.toBe(metadata.uid);
    expect(await world.secretObject(namespace, 'web')).toEqual(before.object);
    expect(status).toMatchObject({ serialNumber: before.serialNumber, revision: 1 });
  });

  test.concurrent('takes a Secret back that was restored from a backup with it', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    await world.remove(namespace, 'web');
    await world.removeSecret(namespace, 'web');
    await world.createSecret(namespace, backup(before.object));
    await world.createSimple(namespace, 'web');
    const { status } = await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).serialNumber).toBe(before.serialNumber);
    expect(status.revision).toBe(1);
  });
});
