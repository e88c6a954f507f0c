import { beforeAll, describe, expect, test } from 'vitest';
import { parseDuration } from '../api/index.ts';
import { verifyChain } from '../pki/index.ts';
import { authorityObject, NOW, SECOND } from './builders.fixture.ts';
import { generationOwner, generationSecretName, readGeneration } from './generation.ts';
import { makeGeneration, selfSignedSpec } from './selfSigned.ts';
import { readCaSecret } from './store.ts';

const authority = authorityObject();
const spec = selfSignedSpec(authority.spec);
if (spec === undefined) throw new Error('the default is selfSigned');

/** As the API server would give back what was POSTed. */
function stored(
  secret: Record<string, unknown>,
  changes: { annotations?: object; data?: object; labels?: object } = {},
) {
  const metadata = secret['metadata'] as { annotations: object; labels: object };
  return readCaSecret({
    ...secret,
    metadata: {
      ...metadata,
      uid: 'u',
      resourceVersion: '1',
      annotations: { ...metadata.annotations, ...changes.annotations },
      labels: { ...metadata.labels, ...changes.labels },
    },
    data: { ...(secret['data'] as object), ...changes.data },
  });
}

let rootSecret: Record<string, unknown>;
let issuingSecret: Record<string, unknown>;

beforeAll(async () => {
  rootSecret = (await makeGeneration(authority, spec, { step: 'CreateRoot', number: 1 }, 'mtls-system', NOW)).secret;
  const root = read(rootSecret);
  const step = { step: 'CreateIssuing', number: 3, root, because: '' } as const;
  issuingSecret = (await makeGeneration(authority, spec, step, 'mtls-system', NOW)).secret;
});

function read(secret: Record<string, unknown>) {
  const generation = readGeneration(stored(secret));
  if ('problem' in generation) throw new Error(generation.problem);
  return generation;
}

describe('a generation', () => {
  test('is an immutable Secret of its own without owner, which says what it is', () => {
    expect(issuingSecret).toMatchObject({
      immutable: true,
      type: 'kubernetes.io/tls',
      metadata: {
        namespace: 'mtls-system',
        name: 'default-issuing-3',
        labels: { 'mtls-operator.io/purpose': 'authority' },
      },
    });
    expect(JSON.stringify(issuingSecret)).not.toContain('ownerReferences');
  });

  test('is read back as it was made', () => {
    const issuing = read(issuingSecret);
    expect(issuing).toMatchObject({
      authority: 'default',
      role: 'Issuing',
      number: 3,
      secretName: 'default-issuing-3',
      phase: 'Active',
    });
    expect(issuing.privateKey).toBeDefined();
    expect(issuing.roots.map(({ fingerprint }) => fingerprint)).toEqual([read(rootSecret).certificate.fingerprint]);
  });

  test('has a subject of its own, a life as asked for, and room for leaves only', () => {
    const root = read(rootSecret).certificate;
    const { certificate } = read(issuingSecret);
    expect(certificate.subject).toMatch(/^CN=default issuing 3 [0-9a-f]{8},O=cluster.local$/);
    expect(root.subject).not.toBe(certificate.subject);
    expect(certificate.notAfter.getTime() - NOW).toBe(parseDuration('8760h') * SECOND);
    expect(NOW - certificate.notBefore.getTime()).toBe(300 * SECOND);
    expect(certificate.pathLength).toBe(0);
    expect(verifyChain({ leaf: certificate, intermediates: [], roots: [root], at: new Date(NOW) }).ok).toBe(true);
  });

  test('of a short life is backdated by a tenth of it, so that its life stays short', async () => {
    const brief = { ...spec, root: { ...spec.root, durationSeconds: 600 } };
    const { certificate } = await makeGeneration(
      authority,
      brief,
      { step: 'CreateRoot', number: 1 },
      'mtls-system',
      NOW,
    );
    expect(NOW - certificate.notBefore.getTime()).toBe(60 * SECOND);
  });

  test('never outlives its root', async () => {
    const brief = { ...spec, root: { ...spec.root, durationSeconds: 86_400 } };
    const { secret } = await makeGeneration(authority, brief, { step: 'CreateRoot', number: 1 }, 'mtls-system', NOW);
    const root = read(secret);
    const step = { step: 'CreateIssuing', number: 1, root, because: '' } as const;
    const { certificate } = await makeGeneration(authority, brief, step, 'mtls-system', NOW);
    expect(certificate.notAfter).toEqual(root.certificate.notAfter);
  });

  test('of an authority with a name and a trust domain as long as they can be still has a valid subject', async () => {
    const long = authorityObject({ metadata: { name: 'a'.repeat(63) }, spec: { trustDomain: 'd'.repeat(255) } });
    const { certificate } = await makeGeneration(
      long,
      spec,
      { step: 'CreateIssuing', number: 123_456, root: read(rootSecret), because: '' },
      'n',
      NOW,
    );
    expect(certificate.commonName?.length).toBeLessThanOrEqual(64);
    expect(generationSecretName('a'.repeat(63), 'Issuing', 123_456).length).toBeLessThanOrEqual(253);
  });

  test('without its key is still there to be trusted', () => {
    expect(readGeneration(stored(issuingSecret, { data: { 'tls.key': '' } }))).toMatchObject({
      role: 'Issuing',
      privateKey: undefined,
    });
  });
});

const base64 = (text: string) => Buffer.from(text).toString('base64');

test.each<[string, Parameters<typeof stored>[1], RegExp]>([
  ['no role', { annotations: { 'mtls-operator.io/role': '' } }, /role/],
  ['another role', { annotations: { 'mtls-operator.io/role': 'Leaf' } }, /role/],
  ['no number', { annotations: { 'mtls-operator.io/generation': 'x' } }, /number/],
  ['the number 0', { annotations: { 'mtls-operator.io/generation': '0' } }, /number/],
  ['a fraction', { annotations: { 'mtls-operator.io/generation': '1.5' } }, /number/],
  ['no certificate', { data: { 'tls.crt': '' } }, /^tls.crt: /],
  ['a certificate that is rubbish', { data: { 'tls.crt': base64('rubbish') } }, /^tls.crt: /],
  ['no root', { data: { 'ca.crt': '' } }, /^ca.crt: /],
  ['a key that is rubbish', { data: { 'tls.key': base64('rubbish') } }, /^tls.key: /],
  ['the role Root for what is not self-signed', { annotations: { 'mtls-operator.io/role': 'Root' } }, /self-signed/],
])('a generation is unusable with %s, and says so', (_, changes, problem) => {
  expect(readGeneration(stored(issuingSecret, changes))).toMatchObject({
    secretName: 'default-issuing-3',
    problem: expect.stringMatching(problem),
  });
});

test('a generation is unusable with the key of another', () => {
  const { 'tls.key': key } = rootSecret['data'] as Record<string, string>;
  expect(readGeneration(stored(issuingSecret, { data: { 'tls.key': key } }))).toMatchObject({
    problem: expect.stringContaining('does not belong'),
  });
});

test('a Secret without our purpose is nobody’s generation, whatever else it says', () => {
  expect(generationOwner(stored(rootSecret))).toBe('default');
  expect(
    generationOwner(stored(rootSecret, { labels: { 'mtls-operator.io/purpose': 'workload-certificate' } })),
  ).toBeUndefined();
});
