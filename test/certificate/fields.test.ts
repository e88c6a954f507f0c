/** From `kubectl apply` to the Secret: every field of a WorkloadCertificate, as OpenSSL, Node and kubectl see its effect. */
import { createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import type { CheckedSecret } from '../support/secret.ts';
import { certificateBody, World, waitFor } from './world.ts';

let world: World;
/** A namespace that may have any kind of name in these tests. */
let free: string;

const rules = [
  {
    namespaces: { matchLabels: { names: 'free' } },
    dnsNames: ['*.example.com', 'bücher.example'],
    singleLabelNames: ['cache', 'localhost'],
    ipAddresses: ['192.0.2.0/24', '2001:db8::/32'],
    uris: ['https://shop.example.com/*'],
    emailAddresses: ['*@example.com'],
    commonNames: ['replicator'],
    subjects: [
      {
        organizations: ['Example Ltd', 'Bücher & Söhne'],
        organizationalUnits: ['Ops'],
        countries: ['DE'],
        localities: ['Köln'],
        provinces: ['NRW'],
        streetAddresses: ['Weg 1'],
        postalCodes: ['50667'],
        serialNumber: 'INV-7',
      },
    ],
  },
];

beforeAll(async () => {
  world = await World.start();
  free = await world.namespace('free', { names: 'free' });
  await world.patchAuthority('default', { spec: { names: rules } });
});

afterAll(() => world?.[Symbol.asyncDispose]());

/** Applies a certificate and gives its Secret, checked. */
async function issue(name: string, spec: object, namespace = free): Promise<CheckedSecret> {
  await world.create(namespace, name, { secretName: name, ...spec });
  await world.ready(namespace, name);
  return await world.secret(namespace, name);
}

/** What `openssl x509` prints of it. */
async function openssl(secret: CheckedSecret, ...args: string[]): Promise<string> {
  const file = join(world.workspace.directory, `${secret.object.metadata.uid}.pem`);
  await writeFile(file, secret.leaf.toString());
  return (await run('openssl', ['x509', '-noout', '-in', file, ...args])).stdout.trim();
}

const extension = async (secret: CheckedSecret, name: string) =>
  (await openssl(secret, '-ext', name)).replace(/\s*\n\s*/g, ' ');

describe('the first certificate', () => {
  test('comes from one kubectl apply, with an authority that was made by itself', async () => {
    const namespace = await world.namespace();
    const body = certificateBody(namespace, 'web', { secretName: 'web-mtls', dnsNames: [`web.${namespace}.svc`] });
    const before = Date.now();
    await world.cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(body) });
    await world.cluster.kubectl(['wait', '-n', namespace, 'wcert/web', '--for=condition=Ready', '--timeout=30s']);
    const { status, metadata } = await world.ready(namespace, 'web');
    const secret = await world.secret(namespace, 'web-mtls', { holder: 'web' });

    expect(secret.leaf.subjectAltName).toBe(`DNS:web.${namespace}.svc`);
    expect(secret.intermediates).toHaveLength(1);
    expect(secret.roots).toHaveLength(1);
    expect(Object.keys(secret.object.data).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    expect(secret.object.metadata.ownerReferences).toEqual([]);
    const notAfter = secret.leaf.validToDate.getTime();
    expect(status).toMatchObject({
      secretName: 'web-mtls',
      serialNumber: secret.serialNumber,
      revision: 1,
      observedGeneration: metadata.generation,
      authorityFingerprint: secret.intermediates[0]?.fingerprint256.replaceAll(':', '').toLowerCase(),
    });
    expect(Date.parse(status.notAfter ?? '')).toBe(notAfter);
    expect(Date.parse(status.notBefore ?? '')).toBe(secret.leaf.validFromDate.getTime());
    // 24 h from issuance, begun five minutes earlier; renewed at a third before the end, less a twentieth at most.
    expect(notAfter - secret.leaf.validFromDate.getTime()).toBe((24 * 3600 + 300) * 1000);
    const issuedAt = notAfter - 24 * 3_600_000;
    expect(issuedAt).toBeGreaterThanOrEqual(before - 1000);
    const renewal = Date.parse(status.renewalTime ?? '') - issuedAt;
    expect(renewal).toBeLessThanOrEqual(16 * 3_600_000);
    expect(renewal).toBeGreaterThanOrEqual((16 - 1.2) * 3_600_000 - 1000);
    expect((await world.event(namespace, 'web', 'Issued')).note).toContain(secret.serialNumber);
  });

  test('shows in the columns of kubectl', async () => {
    const secret = await issue('columns', { dnsNames: [`columns.${free}.svc`] });
    const { status } = await world.certificate(free, 'columns');
    const wide = await world.cluster.kubectl(['get', 'wcert', '-n', free, 'columns', '-o', 'wide', '--no-headers']);
    const [name, ready, secretName, expires, , reason, renewal, serial] = wide.trim().split(/\s+/);
    expect([name, ready, secretName, expires]).toEqual(['columns', 'True', 'columns', status.notAfter]);
    expect([reason, renewal, serial]).toEqual(['Ready', status.renewalTime, secret.serialNumber]);
    const authority = await world.cluster.kubectl(['get', 'mca', 'default', '--no-headers']);
    expect(authority).toMatch(/^default\s+True\s+cluster\.local\s/);
  });
});

describe('privateKey', () => {
  test.concurrent.each([
    [{}, 'ec', 'P-256', 'PRIVATE KEY'],
    [{ algorithm: 'ECDSA', size: 256, encoding: 'SEC1' }, 'ec', 'P-256', 'EC PRIVATE KEY'],
    [{ algorithm: 'ECDSA', size: 384 }, 'ec', 'P-384', 'PRIVATE KEY'],
    [{ algorithm: 'Ed25519' }, 'ed25519', '', 'PRIVATE KEY'],
    [{ algorithm: 'RSA' }, 'rsa', '2048', 'PRIVATE KEY'],
    [{ algorithm: 'RSA', size: 3072, encoding: 'PKCS1' }, 'rsa', '3072', 'RSA PRIVATE KEY'],
  ])('%j is a key of type %s %s ', async (privateKey, type, size, label) => {
    const name = `key${JSON.stringify(privateKey)
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '')}`;
    const secret = await issue(name, { dnsNames: [`${name}.${free}.svc`], privateKey });
    expect(secret.key.asymmetricKeyType).toBe(type);
    const { namedCurve, modulusLength } = secret.key.asymmetricKeyDetails ?? {};
    const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384' };
    expect(curves[namedCurve ?? ''] ?? String(modulusLength ?? '')).toBe(size);
    expect(secret.text('tls.key').startsWith(`-----BEGIN ${label}-----\n`)).toBe(true);
  });
});

describe('names', () => {
  test('of every kind stand in the certificate as they were asked for, IDNs as A-labels', async () => {
    const secret = await issue('all-names', {
      dnsNames: [`all.${free}.svc`, `*.all.${free}.svc.cluster.local`, 'a.example.com', 'bücher.example', 'cache'],
      ipAddresses: ['192.0.2.10', '2001:db8::10'],
      uris: ['https://shop.example.com/web'],
      emailAddresses: ['ops@example.com'],
    });
    expect(secret.leaf.subjectAltName?.split(', ').sort()).toEqual(
      [
        `DNS:all.${free}.svc`,
        `DNS:*.all.${free}.svc.cluster.local`,
        'DNS:a.example.com',
        'DNS:xn--bcher-kva.example',
        'DNS:cache',
        'IP Address:192.0.2.10',
        'IP Address:2001:DB8:0:0:0:0:0:10',
        'URI:https://shop.example.com/web',
        'email:ops@example.com',
      ].sort(),
    );
    expect(secret.leaf.checkHost('bücher.example')).toBeUndefined();
    expect(secret.leaf.checkHost('xn--bcher-kva.example')).toBe('xn--bcher-kva.example');
  });

  test('are critical without a subject, and not with one (RFC 5280 §4.2.1.6)', async () => {
    const bare = await issue('bare', { dnsNames: [`bare.${free}.svc`] });
    expect(await extension(bare, 'subjectAltName')).toContain('critical');
    const named = await issue('named', { dnsNames: [`named.${free}.svc`], commonName: `named.${free}.svc` });
    expect(await extension(named, 'subjectAltName')).not.toContain('critical');
    expect(await openssl(named, '-subject', '-nameopt', 'RFC2253')).toBe(`subject=CN=named.${free}.svc`);
  });

  test('may be a common name alone, by rule', async () => {
    const secret = await issue('common-name', { commonName: 'replicator' });
    expect(secret.leaf.subject).toBe('CN=replicator');
    expect(secret.leaf.subjectAltName).toBeUndefined();
  });

  test('and every attribute of the subject, by rule', async () => {
    const subject = {
      organizations: ['Example Ltd', 'Bücher & Söhne'],
      organizationalUnits: ['Ops'],
      countries: ['DE'],
      localities: ['Köln'],
      provinces: ['NRW'],
      streetAddresses: ['Weg 1'],
      postalCodes: ['50667'],
      serialNumber: 'INV-7',
    };
    const secret = await issue('subject', { dnsNames: [`subject.${free}.svc`], commonName: 'replicator', subject });
    const text = await openssl(secret, '-subject', '-nameopt', 'sep_multiline,utf8,lname,esc_ctrl');
    const attributes = text
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
      .sort();
    expect(attributes).toEqual(
      [
        'commonName=replicator',
        'countryName=DE',
        'localityName=Köln',
        'organizationName=Bücher & Söhne',
        'organizationName=Example Ltd',
        'organizationalUnitName=Ops',
        'postalCode=50667',
        'serialNumber=INV-7',
        'stateOrProvinceName=NRW',
        'streetAddress=Weg 1',
      ].sort(),
    );
  });
});

describe('usages', () => {
  const SERVER = 'TLS Web Server Authentication';
  const CLIENT = 'TLS Web Client Authentication';
  test.concurrent.each([
    ['default', {}, `${SERVER}, ${CLIENT}`, 'Digital Signature'],
    ['server', { usages: ['server auth'] }, SERVER, 'Digital Signature'],
    ['client', { usages: ['client auth', 'digital signature'] }, CLIENT, 'Digital Signature'],
    ['none', { usages: ['digital signature'] }, '', 'Digital Signature'],
    ['rsa', { privateKey: { algorithm: 'RSA' } }, `${SERVER}, ${CLIENT}`, 'Digital Signature, Key Encipherment'],
    [
      'rsa-signs',
      { usages: ['server auth', 'digital signature'], privateKey: { algorithm: 'RSA' } },
      SERVER,
      'Digital Signature',
    ],
  ])('%s: %j', async (name, spec, extended, usage) => {
    const secret = await issue(`usage-${name}`, { dnsNames: [`${name}.${free}.svc`], ...spec });
    expect(await extension(secret, 'keyUsage')).toBe(`X509v3 Key Usage: critical ${usage}`);
    const found = await extension(secret, 'extendedKeyUsage').catch(() => '');
    expect(found.replace('X509v3 Extended Key Usage: ', '')).toBe(extended === '' ? '' : extended);
  });
});

describe('duration', () => {
  test('counts from issuance, and is shortened to what the authority allows', async () => {
    const short = await issue('short', { dnsNames: [`short.${free}.svc`], duration: '10m', renewBefore: '2m' });
    const life = short.leaf.validToDate.getTime() - short.leaf.validFromDate.getTime();
    expect(life).toBe(11 * 60_000); // begun a tenth earlier
    const { status } = await world.certificate(free, 'short');
    const renewBefore = short.leaf.validToDate.getTime() - Date.parse(status.renewalTime ?? '');
    expect(renewBefore).toBeGreaterThanOrEqual(2 * 60_000);
    expect(renewBefore).toBeLessThanOrEqual(2.5 * 60_000 + 1000);

    const long = await issue('long', { dnsNames: [`long.${free}.svc`], duration: '800d' });
    const days = (long.leaf.validToDate.getTime() - long.leaf.validFromDate.getTime() - 300_000) / 86_400_000;
    expect(days).toBe(30);
    expect(Date.parse((await world.certificate(free, 'long')).status.renewalTime ?? '')).toBeGreaterThan(Date.now());
  });
});

describe('the Secret', () => {
  test('carries outputs CombinedPEM and DER of the same key and chain', async () => {
    const spec = { dnsNames: [`outputs.${free}.svc`], privateKey: { algorithm: 'RSA', encoding: 'PKCS1' } };
    const secret = await issue('outputs', { ...spec, outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }] });
    expect(Object.keys(secret.object.data).sort()).toEqual([
      'ca.crt',
      'key.der',
      'tls-combined.pem',
      'tls.crt',
      'tls.key',
    ]);
    expect(secret.text('tls-combined.pem') === secret.text('tls.key') + secret.text('tls.crt')).toBe(true);
    const der = Buffer.from(secret.object.data['key.der'] ?? '', 'base64');
    expect(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).equals(secret.key)).toBe(true);
  });

  test('carries the labels and annotations of the template, and ours', async () => {
    const secretTemplate = { labels: { team: 'shop' }, annotations: { 'example.com/owner': 'shop team' } };
    const { object } = await issue('template', { dnsNames: [`template.${free}.svc`], secretTemplate });
    expect(object.metadata.labels).toEqual({ team: 'shop', 'mtls-operator.io/purpose': 'workload-certificate' });
    expect(object.metadata.annotations).toMatchObject({ 'example.com/owner': 'shop team' });
  });

  test('refuses a template under our own prefix at kubectl apply', async () => {
    const spec = {
      secretName: 'x',
      dnsNames: [`x.${free}.svc`],
      secretTemplate: { labels: { 'mtls-operator.io/x': 'y' } },
    };
    await expect(world.create(free, 'prefix', spec)).rejects.toThrow(/reserved: use a prefix of your own/);
  });
});

test('metrics tell expiry, renewal, readiness, outcomes and the usual of a controller', async () => {
  await issue('metrics', { dnsNames: [`metrics.${free}.svc`] });
  const { status } = await world.certificate(free, 'metrics');
  const seconds = (time: string | undefined) => Date.parse(time ?? '') / 1000;
  const series = `{namespace="${free}",name="metrics"}`;
  const metrics = await waitFor('the metrics of a certificate', async () => {
    const text = await world.operator.metrics();
    return text.includes(`mtls_operator_certificate_ready${series} 1`) ? text : undefined;
  });
  expect(metrics).toContain(
    `mtls_operator_certificate_expiration_timestamp_seconds${series} ${seconds(status.notAfter)}\n`,
  );
  expect(metrics).toContain(
    `mtls_operator_certificate_renewal_timestamp_seconds${series} ${seconds(status.renewalTime)}\n`,
  );
  expect(metrics).toMatch(/mtls_operator_certificate_issuances_total\{outcome="issued",reason="SecretMissing"\} \d+/);
  expect(metrics).toMatch(/mtls_operator_certificate_issuance_duration_seconds_count\{reason="SecretMissing"\} \d+/);
  expect(metrics).toMatch(/mtls_operator_authority_expiration_timestamp_seconds\{authority="default",role="Root",/);
  expect(metrics).toMatch(/mtls_operator_authority_expiration_timestamp_seconds\{authority="default",role="Issuing",/);
  for (const name of [
    'workqueue_depth',
    'workqueue_adds_total',
    'workqueue_queue_duration_seconds',
    'workqueue_work_duration_seconds',
    'workqueue_unfinished_work_seconds',
    'workqueue_longest_running_processor_seconds',
    'workqueue_retries_total',
    'controller_runtime_reconcile_total',
    'controller_runtime_reconcile_errors_total',
    'controller_runtime_reconcile_time_seconds',
    'controller_runtime_max_concurrent_reconciles',
    'controller_runtime_active_workers',
    'rest_client_requests_total',
    'leader_election_master_status',
  ]) {
    expect(metrics.includes(`\n# TYPE ${name} `), name).toBe(true);
  }
  await world.remove(free, 'metrics');
  await waitFor(
    'the series to go with the certificate',
    async () => !(await world.operator.metrics()).includes(series),
  );
});
