/** What goes wrong around a certificate that looks right: a CA that may not sign it, a namespace that comes late, a broken key that should be kept. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseWorkloadCertificate, workloadCertificateKind } from '../../src/api/index.ts';
import { asRecord } from '../../src/kube/index.ts';
import { generateKeyPair } from '../../src/pki/index.ts';
import { send } from '../api/control.ts';
import { startFaultProxy } from '../faults/proxy.ts';
import { run } from '../support/command.ts';
import { startOperatorProcess } from '../support/operator.ts';
import { OPERATOR_NAMESPACE, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const b64 = (text: string) => Buffer.from(text).toString('base64');

describe('a CA that may not sign what is asked for', () => {
  test('fails with its reason and what to do, is tried again at intervals, and delays nobody', async () => {
    // A CA for clients alone, as Go and OpenSSL read its extended key usage.
    const directory = world.workspace.directory;
    const [keyFile, certificateFile] = [join(directory, 'clients.key'), join(directory, 'clients.crt')];
    const request = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '30'];
    const extensions = [
      'basicConstraints=critical,CA:TRUE',
      'keyUsage=critical,keyCertSign',
      'extendedKeyUsage=clientAuth',
    ];
    // Without a configuration of the machine's, which would add extensions of its own.
    const configuration = join(directory, 'openssl.cnf');
    await writeFile(configuration, '[req]\ndistinguished_name = name\n[name]\n');
    await run('openssl', [
      ...request,
      ...['-config', configuration, '-subj', '/CN=Clients', '-keyout', keyFile, '-out', certificateFile],
      ...extensions.flatMap((extension) => ['-addext', extension]),
    ]);
    const name = 'clients-only';
    await world.cluster.kubectl(
      ['create', 'secret', 'generic', name, '-n', OPERATOR_NAMESPACE].concat([
        `--from-file=tls.key=${keyFile}`,
        `--from-file=tls.crt=${certificateFile}`,
      ]),
    );
    await world.createAuthority(name, {
      trustDomain: 'clients.example',
      provided: { secretName: name },
      maxCertificateDuration: '24h',
    });

    const namespace = await world.namespace();
    const authorityRef = { name };
    const mark = await world.auditMark();
    await world.createSimple(namespace, 'web', { authorityRef });
    const ready = await world.reason(namespace, 'web', 'Ready', 'Failed');
    expect(ready.message).toMatch(/extended key usage does not allow 'server auth': ask only for usages/);
    await world.reason(namespace, 'web', 'Issuing', 'Failed');
    expect((await world.event(namespace, 'web', 'Failed')).note).toBe(ready.message);
    await waitFor('its line in the log', () =>
      world.operator.log.some(
        ({ msg, ...fields }) => msg === 'issuance failed' && fields['reason'] === 'IssuerUsageForbidden',
      ),
    );
    // Others of the same authority, and of others.
    await world.createSimple(namespace, 'client', { authorityRef, usages: ['client auth'] });
    await world.createSimple(namespace, 'other');
    for (const other of ['client', 'other']) await world.ready(namespace, other);
    await world.secret(namespace, 'client', { authority: name });
    await world.until(namespace, 'web', 'to be tried again', ({ status }) => (status.failedAttempts ?? 0) >= 2);
    const writes = (await world.writesSince(mark)).filter(
      (write) => write.name.startsWith('web') && write.namespace === namespace,
    );
    expect(writes.filter(({ resource }) => resource === 'secrets')).toEqual([]);
    // A first look, a second try after 5 s, perhaps a third after 10 s: no status write but theirs.
    expect(writes.filter(({ resource }) => resource === 'workloadcertificates/status').length).toBeLessThanOrEqual(3);

    await world.patch(namespace, 'web', { spec: { usages: ['client auth'] } });
    const { status } = await world.ready(namespace, 'web');
    expect(status.failedAttempts ?? 0).toBe(0);
    await world.secret(namespace, 'web', { authority: name });
  });
});

describe('rotationPolicy Never', () => {
  const spec = { privateKey: { rotationPolicy: 'Never' } };

  test.concurrent.each([
    ['is cut off', (key: string) => key.slice(0, 60)],
    ['is no key at all', () => 'nonsense'],
    ['is missing', () => ''],
    [
      'is of another kind than the spec asks for',
      async () => (await generateKeyPair({ algorithm: 'Ed25519' })).pem('PKCS8'),
    ],
  ] as const)('makes a new key where the one in the Secret %s, and keeps that', async (_, broken) => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', spec);
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    await world.patchSecret(namespace, 'web', { data: { 'tls.key': b64(await broken(before.text('tls.key'))) } });
    const mended = await world.secretWhen(namespace, 'web', 'to be mended', ({ revision }) => revision === 2);
    expect(mended.text('tls.key')).not.toBe(before.text('tls.key'));
    expect(mended.key.asymmetricKeyType).toBe('ec');
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 3);
    expect(renewed.text('tls.key')).toBe(mended.text('tls.key'));
    await world.ready(namespace, 'web');
  });

  test.concurrent('takes up a key that somebody has put there, if it is of the kind that the spec asks for', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', spec);
    await world.ready(namespace, 'web');
    const theirs = (await generateKeyPair({ algorithm: 'ECDSA' })).pem('PKCS8');
    await world.patchSecret(namespace, 'web', { data: { 'tls.key': b64(theirs) } });
    const mended = await world.secretWhen(namespace, 'web', 'to be mended', ({ revision }) => revision === 2);
    expect(mended.text('tls.key')).toBe(theirs);
  });
});

describe('a spec that was stored under an older schema', () => {
  const crd = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${workloadCertificateKind.crdName}`;

  /** Stores objects as a schema without rules lets them through, and puts the real one back. */
  async function underLaxSchema(store: () => Promise<void>): Promise<void> {
    const { spec } = asRecord(await world.find(crd));
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = [{ name: 'v1alpha1', served: true, storage: true, subresources: { status: {} }, schema }];
    await world.send('PATCH', crd, { spec: { versions } });
    try {
      await waitFor('the lax schema to be in force', async () => {
        await store();
        return true;
      });
    } finally {
      await world.send('PATCH', crd, { spec });
    }
    const path = `${workloadCertificateKind.path('default')}?dryRun=All`;
    const body = {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name: 'probe' },
      spec: {},
    };
    await waitFor(
      'the real schema to be in force',
      async () => (await send(world.cluster, 'POST', path, body)).status === 422,
    );
  }

  const object = (namespace: string, name: string) => workloadCertificateKind.path(namespace, name);

  async function readyCondition(namespace: string, name: string) {
    const { conditions } = asRecord(asRecord(await world.find(object(namespace, name)))['status'] ?? {});
    const all = Array.isArray(conditions) ? conditions.map(asRecord) : [];
    return all.find(({ type }) => type === 'Ready');
  }

  test('is told of as SpecInvalid; its Secret stays, others go on, and once corrected it is Ready again', async () => {
    const namespace = await world.namespace();
    for (const name of ['unruly', 'broken', 'web']) {
      await world.createSimple(namespace, name);
      await world.ready(namespace, name);
    }
    const before = [await world.secretObject(namespace, 'unruly'), await world.secretObject(namespace, 'broken')];
    await world.operator.stop();
    await underLaxSchema(async () => {
      await world.send('PATCH', object(namespace, 'unruly'), { spec: { duration: '1000d' } });
      await world.send('PATCH', object(namespace, 'broken'), { spec: { duration: 7, dnsNames: 'x' } });
      const found = await world.find(object(namespace, 'empty'));
      const metadata = { name: 'empty', namespace };
      const empty = { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'WorkloadCertificate', metadata, spec: {} };
      if (found === undefined) await world.send('POST', workloadCertificateKind.path(namespace), empty);
    });
    await world.startOperator();
    const told = [];
    for (const [name, field] of [
      ['unruly', 'duration'],
      ['broken', 'dnsNames'],
      ['empty', 'secretName'],
    ] as const) {
      const event = await world.event(namespace, name, 'SpecInvalid');
      expect(event).toMatchObject({ type: 'Warning', note: expect.stringMatching(/The Secret stays as it is/) });
      expect(event.note).toContain(field);
      told.push(event.note);
    }
    const ready = await waitFor('the condition', async () => {
      const found = await readyCondition(namespace, 'unruly');
      return found?.['reason'] === 'SpecInvalid' ? found : undefined;
    });
    expect(ready).toMatchObject({ status: 'False', message: told[0] });
    const mark = await world.auditMark();
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    await world.createSimple(namespace, 'after');
    await world.ready(namespace, 'after');
    await world.event(namespace, 'after', 'Issued');
    expect([await world.secretObject(namespace, 'unruly'), await world.secretObject(namespace, 'broken')]).toEqual(
      before,
    );
    // Where the API server takes no status for such an object, it is not asked again and again.
    const writes = await world.writesSince(mark);
    expect(writes.filter(({ name }) => /^(unruly|broken|empty)/.test(name))).toEqual([]);
    expect(world.operator.log.filter(({ msg }) => msg === 'reconcile failed, to be repeated')).toEqual([]);

    for (const name of ['unruly', 'broken']) {
      const right = { duration: '24h', dnsNames: [`${name}.${namespace}.svc`] };
      const corrected = await world.send('PATCH', object(namespace, name), { spec: right });
      expect(parseWorkloadCertificate(corrected).spec).toMatchObject(right);
      await world.ready(namespace, name);
      expect((await world.secret(namespace, name)).revision).toBe(1);
    }
  });

  test('which asks for renewals shortly after each issuance is served, with fewer of them', async () => {
    const namespace = await world.namespace();
    await underLaxSchema(async () => {
      const metadata = { name: 'hasty', namespace };
      const spec = {
        secretName: 'hasty',
        dnsNames: [`hasty.${namespace}.svc`],
        duration: '24h',
        renewBefore: '86399s',
      };
      const body = { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'WorkloadCertificate', metadata, spec };
      if ((await world.find(object(namespace, 'hasty'))) === undefined)
        await world.send('POST', workloadCertificateKind.path(namespace), body);
    });
    const ready = await waitFor('the condition', async () => {
      const found = await readyCondition(namespace, 'hasty');
      return found?.['status'] === 'True' ? found : undefined;
    });
    expect(ready['message']).toContain('spec.renewBefore (86399s) leaves too little of that');
    // As anybody may, since the API server does not ask again about what stays as it is.
    const annotations = { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' };
    await world.send('PATCH', object(namespace, 'hasty'), { metadata: { annotations } });
    await world.secretWhen(namespace, 'hasty', 'to be renewed', ({ revision }) => revision === 2);
    const { status } = asRecord(await world.find(object(namespace, 'hasty')));
    const { notAfter, renewalTime } = asRecord(status);
    const left = Date.parse(String(notAfter)) - Date.parse(String(renewalTime));
    expect(left).toBeLessThan(10 * 3_600_000);
  });
});

describe('a certificate whose namespace is not known yet', () => {
  test('waits for it, since its labels decide about names, and holds nobody up', async () => {
    const early = await world.namespace();
    const rule = { namespaces: { matchLabels: { team: 'build' } }, dnsNames: ['*.build.example.com'] };
    await world.patchAuthority('default', { spec: { names: [rule] } });
    await world.operator.stop();
    await using proxy = await startFaultProxy({ target: world.cluster.url, ca: world.cluster.caPem });
    const silence = proxy.add({
      fault: { kind: 'silence' },
      match: ({ verb, resource }) => verb === 'watch' && resource === 'namespaces',
    });
    const token = await world.cluster.kubectl(['create', 'token', 'mtls-operator', '-n', OPERATOR_NAMESPACE]);
    const kubeconfig = join(world.cluster.directory, 'users', 'late-namespace.kubeconfig');
    await writeFile(kubeconfig, proxy.kubeconfig(token.trim()), { mode: 0o600 });
    world.operators.push(await startOperatorProcess(world.cluster, { kubeconfig }));
    await waitFor('the watch of namespaces to be silent', () => silence.injected > 0);

    const late = await world.namespace('late', { team: 'build' });
    const spec = { secretName: 'web', dnsNames: ['web.build.example.com', `web.${late}.svc`] };
    await world.create(late, 'web', spec);
    // Comes after it, in the same watch.
    await world.createSimple(early, 'after');
    await world.ready(early, 'after');
    expect((await world.certificate(late, 'web')).status).toEqual({});
    expect(await world.findSecret(late, 'web')).toBeUndefined();
    silence.remove();
    proxy.cut();
    await world.ready(late, 'web');
    const { leaf } = await world.secret(late, 'web');
    expect(leaf.subjectAltName).toBe(`DNS:web.build.example.com, DNS:web.${late}.svc`);
    // Nothing was refused on the way, which a guess at its labels would have been.
    expect((await world.events(late, 'web')).filter(({ type }) => type === 'Warning')).toEqual([]);
    await world.restartOperator();
  });
});
