/** What the operator does to the API server, counted in the audit log; what it does when the API server refuses; and what it never tells. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workloadCertificateKind } from '../../src/api/index.ts';
import { items, OPERATOR_NAMESPACE, World, type Write, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const count = (writes: readonly Write[], resource: string) =>
  writes.filter((write) => write.resource === resource).length;

describe('writes', () => {
  test('of an issuance: the Secret, the status, and an event for the first alone; of nothing to do: none', async () => {
    const namespace = await world.namespace();
    const mark = await world.auditMark();
    const all = Array.from({ length: 10 }, (_, i) => `web-${i}`);
    for (const name of all) await world.createSimple(namespace, name);
    for (const name of all) {
      await world.ready(namespace, name);
      await world.event(namespace, name, 'Issued');
    }
    const first = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
    expect(first.filter(({ code }) => code >= 300)).toEqual([]);
    expect([count(first, 'secrets'), count(first, 'workloadcertificates/status'), count(first, 'events')]).toEqual([
      10, 10, 10,
    ]);
    expect(first).toHaveLength(30);

    const again = await world.auditMark();
    for (const name of all)
      await world.annotate(namespace, name, { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    for (const name of all) {
      await world.until(namespace, name, 'to be renewed', ({ status }) => status.revision === 2);
    }
    // What has no meaning to the operator, and comes after all of that.
    for (const name of all) await world.annotate(namespace, name, { 'example.com/note': 'nothing' });
    await world.createSimple(namespace, 'last');
    await world.ready(namespace, 'last');
    await world.event(namespace, 'last', 'Issued');
    const second = (await world.writesSince(again)).filter(
      (write) => write.namespace === namespace && !write.name.startsWith('last'),
    );
    expect([count(second, 'secrets'), count(second, 'workloadcertificates/status')]).toEqual([10, 10]);
    expect(second).toHaveLength(20);
  });

  test('of a restart with nothing to do: none but the Lease', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'plain');
    await world.createSimple(namespace, 'denied', { dnsNames: ['www.example.com'] });
    await world.createSimple(namespace, 'unknown', { authorityRef: { name: 'nobody' } });
    await world.createSecret(namespace, {
      metadata: { name: 'theirs' },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': '', 'tls.key': '' },
    });
    await world.createSimple(namespace, 'conflict', { secretName: 'theirs' });
    await world.ready(namespace, 'plain');
    await world.reason(namespace, 'denied', 'Ready', 'NamesDenied');
    await world.reason(namespace, 'unknown', 'Ready', 'AuthorityNotFound');
    await world.reason(namespace, 'conflict', 'Ready', 'SecretConflict');
    await world.operator.stop();
    const mark = await world.auditMark();
    await world.startOperator();
    // One more certificate, which certainly comes after the first look at all others.
    await world.createSimple(namespace, 'last');
    await world.ready(namespace, 'last');
    const writes = (await world.writesSince(mark)).filter(({ name }) => !name.startsWith('last'));
    expect(writes).toEqual([]);
  });
});

describe('a refusal of the API server', () => {
  test('is Failed with its words, counted, tried again at growing intervals, and over when the reason is', async () => {
    const namespace = await world.namespace();
    const quota = `/api/v1/namespaces/${namespace}/resourcequotas`;
    await world.send('POST', quota, { metadata: { name: 'none' }, spec: { hard: { 'count/secrets': '0' } } });
    // What the quota controller would do, which does not run here.
    await world.send('PATCH', `${quota}/none/status`, {
      status: { hard: { 'count/secrets': '0' }, used: { 'count/secrets': '0' } },
    });
    await waitFor('the quota to be in force', async () => {
      const answer = world.createSecret(namespace, { metadata: { name: 'probe' } });
      return await answer.then(
        () => world.removeSecret(namespace, 'probe').then(() => false),
        (error: unknown) => String(error).includes('quota'),
      );
    });
    await world.createSimple(namespace, 'web');
    const ready = await world.reason(namespace, 'web', 'Ready', 'Failed');
    expect(ready.message).toMatch(/Secret "web".*exceeded quota/);
    expect((await world.event(namespace, 'web', 'Failed')).type).toBe('Warning');
    const { status } = await world.until(
      namespace,
      'web',
      'to be tried again',
      (found) => (found.status.failedAttempts ?? 0) >= 2,
    );
    expect(status.lastFailureTime).toBeDefined();
    expect(await world.operator.metrics()).toMatch(
      /mtls_operator_certificate_issuances_total\{outcome="failed",reason="SecretMissing"\} [2-9]/,
    );
    // Others are not held up by it.
    const other = await world.namespace();
    await world.createSimple(other, 'web');
    await world.ready(other, 'web');
    await world.send('DELETE', `${quota}/none`);
    // A change of spec does not wait for the interval.
    await world.patch(namespace, 'web', { spec: { dnsNames: [`again.${namespace}.svc`] } });
    const recovered = await world.ready(namespace, 'web');
    expect(recovered.status.failedAttempts ?? 0).toBe(0);
    expect(recovered.status.lastFailureTime).toBeUndefined();
    await world.secret(namespace, 'web');
  });
});

describe('an object that cannot be read', () => {
  test('because it was stored under another schema delays nobody, and its Secret stays', async () => {
    const namespace = await world.namespace();
    for (const name of ['web', 'broken']) await world.createSimple(namespace, name);
    for (const name of ['web', 'broken']) await world.ready(namespace, name);
    const before = await world.secretObject(namespace, 'broken');
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${workloadCertificateKind.crdName}`;
    const { spec, metadata } = (await world.find(path)) ?? {};
    const lax = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = (schema: unknown) => ({
      spec: { versions: [{ name: 'v1alpha1', served: true, storage: true, subresources: { status: {} }, schema }] },
    });
    expect(metadata).toBeDefined();
    await world.send('PATCH', path, versions(lax));
    await waitFor('the lax schema to be in force', async () => {
      await world.send('PATCH', workloadCertificateKind.path(namespace, 'broken'), {
        spec: { duration: 7, dnsNames: 'x' },
      });
      return true;
    });
    await world.send('POST', workloadCertificateKind.path(namespace), {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name: 'empty', namespace },
      spec: {},
    });
    await world.createSimple(namespace, 'after');
    await world.ready(namespace, 'after');
    await world.restartOperator();
    await world.createSimple(namespace, 'later');
    await world.ready(namespace, 'later');
    expect(await world.secretObject(namespace, 'broken')).toEqual(before);
    // Back to the real schema.
    await world.send('PATCH', path, { spec });
    for (const name of ['empty', 'broken']) await world.remove(namespace, name);
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
  });
});

describe('private keys', () => {
  test('stand in Secrets and nowhere else: not in the log, events, status, metrics or the audit log', async () => {
    const namespace = await world.namespace();
    const kinds = [
      {},
      { algorithm: 'ECDSA', encoding: 'SEC1' },
      { algorithm: 'RSA', encoding: 'PKCS1' },
      { algorithm: 'Ed25519' },
    ];
    for (const [i, privateKey] of kinds.entries()) {
      await world.createSimple(namespace, `key-${i}`, {
        privateKey,
        outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }],
      });
      await world.ready(namespace, `key-${i}`);
    }
    // Keys that went through an error on their way: mismatched, damaged, and refused by the API server.
    await world.patchSecret(namespace, 'key-0', {
      data: { 'tls.key': (await world.secretObject(namespace, 'key-1')).data['tls.key'] },
    });
    const damaged = (await world.secret(namespace, 'key-2')).text('tls.key').replace('M', '!');
    await world.patchSecret(namespace, 'key-2', { data: { 'tls.key': Buffer.from(damaged).toString('base64') } });
    for (const name of ['key-0', 'key-2']) {
      await world.until(namespace, name, 'to be mended', ({ status }) => status.revision === 2);
    }
    const told = await everythingTold();
    const secrets = items(await world.send('GET', '/api/v1/secrets'));
    const keys = secrets.flatMap(privateBytes);
    expect(keys.length).toBeGreaterThanOrEqual(kinds.length + 2);
    for (const { name, needles } of keys) {
      for (const needle of needles)
        expect(
          told.some(({ text }) => text.includes(needle)),
          `key of ${name}`,
        ).toBe(false);
    }
    // The scan can find: what it looks for is in the Secrets themselves.
    const everySecret = JSON.stringify(secrets);
    expect(keys.every(({ needles }) => needles.some((needle) => everySecret.includes(needle)))).toBe(true);
    expect(told.filter(({ text }) => /BEGIN [A-Z ]*PRIVATE KEY/.test(text))).toEqual([]);
  });

  /** Everything that anybody may read who may not read Secrets. */
  async function everythingTold(): Promise<{ from: string; text: string }[]> {
    const told = world.operators.map(({ lines }, i) => ({ from: `log ${i}`, text: lines.join('\n') }));
    told.push({ from: 'metrics', text: await world.operator.metrics() });
    for (const path of [
      '/apis/events.k8s.io/v1/events',
      workloadCertificateKind.path(),
      '/apis/mtls-operator.io/v1alpha1/certificateauthorities',
      '/api/v1/configmaps',
      '/apis/coordination.k8s.io/v1/leases',
    ]) {
      told.push({ from: path, text: JSON.stringify(await world.send('GET', path)) });
    }
    told.push({ from: 'audit log', text: await readFile(world.cluster.auditLog, 'utf8') });
    const logs = join(world.cluster.directory, 'log');
    for (const file of await readdir(logs)) told.push({ from: file, text: await readFile(join(logs, file), 'utf8') });
    return told;
  }

  /** Texts of which each would give a key away: runs of its PEM, of base64 over the whole PEM, of its DER in base64 and hexadecimal. */
  function privateBytes(secret: unknown): { name: string; needles: string[] }[] {
    const { metadata, data } = Object.fromEntries(Object.entries(secret ?? {}));
    const { name, namespace } = Object.fromEntries(Object.entries(metadata ?? {}));
    const { 'tls.key': key } = Object.fromEntries(Object.entries(data ?? {}));
    if (typeof key !== 'string' || key === '') return [];
    const pem = Buffer.from(key, 'base64').toString('utf8');
    const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
    const der = Buffer.from(lines.join(''), 'base64');
    // The first 40 octets are the same for every key of a kind: what tells keys apart comes after them.
    const secretPart = der.subarray(40, 72);
    const inner = lines.join('').slice(56, 96);
    const needles = [inner, key.slice(96, 160), secretPart.toString('hex'), secretPart.toString('base64').slice(0, -4)];
    return [{ name: `${String(namespace)}/${String(name)}`, needles: needles.filter((needle) => needle.length >= 12) }];
  }
});

test('with --watch-namespaces the operator serves these alone', async () => {
  const [served, alsoServed, other] = [await world.namespace(), await world.namespace(), await world.namespace()];
  await world.operator.stop();
  await world.startOperator(['--watch-namespaces', `${served},${alsoServed}`]);
  for (const namespace of [other, served, alsoServed]) await world.createSimple(namespace, 'web');
  for (const namespace of [served, alsoServed]) await world.ready(namespace, 'web');
  await world.createSimple(served, 'last');
  await world.ready(served, 'last');
  expect((await world.certificate(other, 'web')).status).toEqual({});
  expect(await world.findSecret(other, 'web')).toBeUndefined();
  // It is not forgotten: who serves all namespaces serves it too.
  await world.restartOperator();
  await world.ready(other, 'web');
});

test('the operator writes into no namespace but those of its objects', async () => {
  const writes = await world.writesSince(0);
  const elsewhere = writes.filter(
    ({ namespace }) => !/^(team-\d+|default|)$/.test(namespace) && namespace !== OPERATOR_NAMESPACE,
  );
  expect(elsewhere).toEqual([]);
});
