import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthorityKind, kinds, mtlsPolicyKind, workloadCertificateKind } from '../../src/api/kinds.ts';
import { parseMTLSPolicy } from '../../src/api/mtlsPolicy.ts';
import { parseWorkloadCertificate } from '../../src/api/workloadCertificate.ts';
import type { Cluster } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { startClusterWithKinds } from './cluster.ts';
import { causes, record, send } from './control.ts';
import { testDefinitions } from './definitions.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startClusterWithKinds();
});

afterAll(() => cluster?.stop());

const apply = (...lines: string[]): Promise<string> =>
  cluster.kubectl(['apply', '-f', '-'], { input: lines.join('\n') });
const authority = (name: string, trustDomain = 'cluster.local'): string[] => [
  'apiVersion: mtls-operator.io/v1alpha1',
  'kind: CertificateAuthority',
  `metadata: {name: ${name}}`,
  `spec: {trustDomain: ${trustDomain}, selfSigned: {}}`,
];
const certificate = (name: string, ...spec: string[]): string[] => [
  'apiVersion: mtls-operator.io/v1alpha1',
  'kind: WorkloadCertificate',
  `metadata: {name: ${name}, namespace: shop}`,
  'spec:',
  ...spec.map((line) => `  ${line}`),
];

const policy = (name: string, ...spec: string[]): string[] => [
  'apiVersion: mtls-operator.io/v1alpha1',
  'kind: MTLSPolicy',
  `metadata: {name: ${name}, namespace: shop}`,
  'spec:',
  ...spec.map((line) => `  ${line}`),
];

describe('the definitions', () => {
  testDefinitions(() => cluster);

  test.each(kinds)('of $kind describe every field', async ({ kind }) => {
    // The API server publishes it a moment after it serves the kind.
    const published = await waitFor('the OpenAPI document', () =>
      cluster.kubectl(['get', '--raw', '/openapi/v3/apis/mtls-operator.io/v1alpha1']),
    );
    const openapi = record(JSON.parse(published));
    const schemas = record(record(openapi['components'])['schemas']);
    expect(undescribed(record(schemas[`io.mtls-operator.v1alpha1.${kind}`]), kind)).toEqual([]);
  });

  test('answer to short names and to the category', async () => {
    await apply(...authority('short-names'));
    expect(await cluster.kubectl(['get', 'mca', 'short-names', '-o', 'name'])).toContain(
      certificateAuthorityKind.crdName.split('.')[1],
    );
    expect(await cluster.kubectl(['get', 'mtls', '-A', '-o', 'name'])).toContain('short-names');
    expect(await cluster.kubectl(['get', 'wcert', '-A'])).toBe('');
  });

  test('explain themselves like documentation', async () => {
    const duration = await cluster.kubectl(['explain', 'wcert.spec.duration']);
    expect(duration.replace(/\s+/g, ' ')).toContain('How long a certificate lives, from issuance to its notAfter');
    expect(await cluster.kubectl(['explain', 'wcert.spec'])).toMatch(/secretName\s+<string> -required-/);
    expect(await cluster.kubectl(['explain', 'mca.spec.names.namespaces'])).toContain('{} is every namespace');
    expect(await cluster.kubectl(['explain', 'mtlsp.spec.ports.until'])).toContain('as in 2027-03-01T00:00:00Z');
    expect(await cluster.kubectl(['explain', 'mtlsr'])).toContain('the operator’s own record');
  });
});

describe('kubectl', () => {
  test('refuses a wrong object with what to write instead', async () => {
    const refused = apply(
      ...certificate('web', 'secretName: web', 'dnsNames: [web.shop.svc, 192.0.2.1]', 'duration: 1.5h'),
    );
    await expect(refused).rejects.toThrow(/spec\.dnsNames\[1\].*write addresses under ipAddresses/);
    await expect(refused).rejects.toThrow(/spec\.duration.*write whole numbers with d, h, m, s/);
  });

  test('refuses a field that does not exist', async () => {
    await expect(apply(...certificate('web', 'secretName: web', 'dnsName: web.shop.svc'))).rejects.toThrow(
      'unknown field "spec.dnsName"',
    );
  });

  test('leaves an object as it is when it is applied again', async () => {
    const lines = certificate('again', 'secretName: again', 'serviceAccountName: web', 'outputs: [{type: DER}]');
    await apply(...lines);
    expect(await apply(...lines)).toContain('unchanged');
  });

  test('takes a policy as people write it: times without quotes', async () => {
    const ports = 'ports: [{port: 9090, mode: Permissive, until: 2027-03-01T00:00:00Z}]';
    await apply(...policy('unquoted', 'mode: Strict', ports));
    const until = 'jsonpath={.spec.ports[0].until}';
    expect(await cluster.kubectl(['get', 'mtlsp', 'unquoted', '-n', 'shop', '-o', until])).toBe('2027-03-01T00:00:00Z');
    expect(await apply(...policy('unquoted', 'mode: Strict', ports))).toContain('unchanged');
  });

  test.each(['Off', 'off', 'no'])('refuses mode: %s without quotes, which is a boolean in YAML', async (mode) => {
    await expect(apply(...policy('boolean', `mode: ${mode}`))).rejects.toThrow(
      /spec\.mode: .*(must be of type string|Unsupported value).*/,
    );
  });

  test('refuses another trust domain for an authority', async () => {
    await apply(...authority('immutable'));
    await expect(apply(...authority('immutable', 'other.example'))).rejects.toThrow(
      /spec\.trustDomain.*make another CertificateAuthority and point authorityRef to it/,
    );
  });

  test('refuses an authority whose name is too long for a label', async () => {
    await apply(...authority('a'.repeat(63)));
    await expect(apply(...authority('a'.repeat(64)))).rejects.toThrow('at most 63 characters: choose a shorter one');
  });
});

describe('status', () => {
  const conditions = [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Issued',
      message: 'valid',
      lastTransitionTime: '2030-01-01T00:00:00Z',
      observedGeneration: 1,
    },
  ];
  const status = {
    conditions,
    observedGeneration: 1,
    notBefore: '2030-01-01T00:00:00Z',
    notAfter: '2030-01-02T00:00:00Z',
    renewalTime: '2030-01-01T16:00:00.123Z',
    serialNumber: '4FA0',
    revision: 3,
    authorityFingerprint: 'ab'.repeat(32),
    secretName: 'status',
    failedAttempts: 0,
    lastFailureTime: '2030-01-01T00:00:00Z',
  };

  test('of a WorkloadCertificate is merged, and shown in the columns', async () => {
    await apply(...certificate('status', 'secretName: status', 'dnsNames: [web.shop.svc]'));
    const path = workloadCertificateKind.path('shop', 'status', 'status');
    expect(causes(await send(cluster, 'PATCH', path, { status }))).toEqual([]);
    const cleared = await send(cluster, 'PATCH', path, { status: { failedAttempts: 2, lastFailureTime: null } });
    const { lastFailureTime, ...rest } = status;
    expect(parseWorkloadCertificate(cleared.body).status).toEqual({ ...rest, failedAttempts: 2 });

    const [head, row] = table(await cluster.kubectl(['get', 'wcert', '-n', 'shop', 'status']));
    expect(head).toEqual(['NAME', 'READY', 'SECRET', 'EXPIRES', 'AGE']);
    expect(row?.slice(0, 4)).toEqual(['status', 'True', 'status', '2030-01-02T00:00:00Z']);
    const [wideHead, wideRow] = table(await cluster.kubectl(['get', 'wcert', '-n', 'shop', 'status', '-o', 'wide']));
    expect(wideHead?.slice(5)).toEqual(['REASON', 'RENEWAL', 'SERIAL']);
    expect(wideRow?.slice(5)).toEqual(['Issued', '2030-01-01T16:00:00.123Z', '4FA0']);
  });

  test('of a WorkloadCertificate cannot smuggle in a spec', async () => {
    await apply(...certificate('spec', 'secretName: spec', 'dnsNames: [web.shop.svc]'));
    const path = workloadCertificateKind.path('shop', 'spec', 'status');
    const patched = await send(cluster, 'PATCH', path, { spec: { secretName: 'other' }, status: {} });
    expect(record(patched.body['spec'])['secretName']).toBe('spec');
  });

  test('of a CertificateAuthority is shown in the columns', async () => {
    await apply(...authority('columns'));
    const phase = 'Ready';
    const issuing = { fingerprint: 'ab', notAfter: '2031-01-01T00:00:00Z', renewalTime: '2030-09-01T00:00:00Z' };
    const root = { fingerprint: 'cd', notAfter: '2040-01-01T00:00:00Z' };
    const generations = [
      { ...issuing, renewalTime: undefined, role: 'Issuing', phase: 'Active', subject: 'CN=x', secretName: 'x' },
    ];
    const path = certificateAuthorityKind.path(undefined, 'columns', 'status');
    expect(
      causes(
        await send(cluster, 'PATCH', path, {
          status: { conditions, phase, issuing, root, generations, trust: { roots: [root] } },
        }),
      ),
    ).toEqual([]);
    const [head, row] = table(await cluster.kubectl(['get', 'mca', 'columns', '-o', 'wide']));
    expect(head).toEqual([
      'NAME',
      'READY',
      'TRUST DOMAIN',
      'ISSUING EXPIRES',
      'AGE',
      'REASON',
      'PHASE',
      'RENEWAL',
      'ROOT EXPIRES',
      'LONGEST',
    ]);
    expect(row?.slice(0, 4)).toEqual(['columns', 'True', 'cluster.local', '2031-01-01T00:00:00Z']);
    expect(row?.slice(5)).toEqual(['Issued', 'Ready', '2030-09-01T00:00:00Z', '2040-01-01T00:00:00Z', '720h']);
  });

  test('of an MTLSPolicy is shown in the columns', async () => {
    await apply(...policy('columns', 'mode: Strict', 'minimum: Permissive'));
    const named = (type: string) => ({ ...conditions[0], type });
    const written = {
      conditions: [named('Accepted'), { ...named('Enforced'), status: 'False', reason: 'NoSidecars' }],
      observedGeneration: 1,
      effective: {
        scope: 'Namespace',
        mode: 'Strict',
        pods: 3,
        nextChange: '2030-01-01T00:00:00Z',
        proxies: { total: 3, acknowledged: 2, enforced: 1 },
      },
      blockers: [
        { reason: 'PlaintextSeen', pod: 'web-1', port: 8080, peer: 'bank/cron-1', lastSeen: '2030-01-01T00:00:00Z' },
      ],
      shadow: [{ pod: 'web-1', port: 8080, peer: '192.0.2.7', connections: 4, lastSeen: '2030-01-01T00:00:00Z' }],
    };
    const path = mtlsPolicyKind.path('shop', 'columns', 'status');
    const patched = await send(cluster, 'PATCH', path, { status: written });
    expect(causes(patched)).toEqual([]);
    expect(parseMTLSPolicy(patched.body).status).toEqual(written);
    const [head, row] = table(await cluster.kubectl(['get', 'mtlsp', '-n', 'shop', 'columns', '-o', 'wide']));
    expect(head?.slice(0, 6)).toEqual(['NAME', 'ACCEPTED', 'MODE', 'EFFECTIVE', 'ENFORCED', 'AGE']);
    expect(head?.slice(6)).toEqual(['SCOPE', 'PODS', 'MINIMUM', 'NEXT CHANGE', 'REASON']);
    expect(row?.slice(0, 5)).toEqual(['columns', 'True', 'Strict', 'Strict', 'False']);
    expect(row?.slice(6)).toEqual(['Namespace', '3', 'Permissive', '2030-01-01T00:00:00Z', 'NoSidecars']);
  });

  test.each([
    ['a condition twice', { conditions: [...conditions, ...conditions] }],
    ['a condition without reason', { conditions: [{ ...conditions[0], reason: '' }] }],
    ['a time that is none', { notAfter: 'tomorrow' }],
    ['a negative count', { failedAttempts: -1 }],
  ])('refuses %s', async (_, wrong) => {
    await apply(...certificate('wrong', 'secretName: wrong', 'dnsNames: [web.shop.svc]'));
    const path = workloadCertificateKind.path('shop', 'wrong', 'status');
    expect((await send(cluster, 'PATCH', path, { status: wrong })).status).toBe(422);
  });
});

/** kubectl separates columns by two spaces at least; a heading may hold one. */
function table(text: string): string[][] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/\s{2,}/));
}

/** Paths of fields without a description. What a description says for a list or map it says for its items too. */
function undescribed(schema: Readonly<Record<string, unknown>>, path: string): string[] {
  const { properties, items, additionalProperties } = schema;
  if (path.endsWith('.metadata')) return [];
  const inner = [items, additionalProperties]
    .filter((part) => part !== undefined)
    .flatMap((part) => undescribed(record(part), `${path}[]`));
  const fields = Object.entries(properties === undefined ? {} : record(properties));
  const below = fields.flatMap(([name, field]) => undescribed(record(field), `${path}.${name}`));
  const itself = typeof schema['description'] === 'string' || path.endsWith('[]') ? [] : [path];
  return [...itself, ...inner, ...below];
}
