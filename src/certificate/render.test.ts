import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Issued,
  issuedSecret,
  makeWorld,
  recordOf,
  specOf,
  storedSecret,
  type World,
} from './builders.fixture.ts';
import { desiredMetadataDigest, desiredOutputs, renderSecret } from './render.ts';
import { inspectSecret } from './secretRecord.ts';

let world: World;
let issued: Issued;

beforeAll(async () => {
  world = await makeWorld();
  issued = await issuedSecret(world);
});

const owner = recordOf();
const book = { revision: 2, renewedAt: undefined };
const again = (spec: object, base: Parameters<typeof renderSecret>[4], keepOwners?: boolean) =>
  storedSecret(renderSecret(specOf(spec), owner, issued.material, book, base, keepOwners));
const template = { labels: { team: 'shop' }, annotations: { 'example.com/a': '1' } };

describe('a new Secret', () => {
  test('is whole, of type kubernetes.io/tls, labelled for our caches, without owner', () => {
    const body = renderSecret(specOf(), owner, issued.material, { revision: 1, renewedAt: undefined });
    expect(body.type).toBe('kubernetes.io/tls');
    expect(Object.keys(body.data).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    expect(body.metadata).toMatchObject({
      namespace: 'shop',
      name: 'web-mtls',
      labels: { 'mtls-operator.io/purpose': 'workload-certificate' },
      annotations: { 'mtls-operator.io/certificate': 'web', 'mtls-operator.io/revision': '1' },
    });
    for (const key of ['uid', 'resourceVersion', 'ownerReferences', 'finalizers'])
      expect(body.metadata).not.toHaveProperty(key);
  });

  test.each<[string, object]>([
    ['nothing more', {}],
    ['outputs', { outputs: [{ type: 'EnvoySDS' }, { type: 'DER' }, { type: 'Docker' }, { type: 'CombinedPEM' }] }],
    ['a template', { secretTemplate: template }],
    ['deletionPolicy Delete', { deletionPolicy: 'Delete' }],
    ['another authority', { authorityRef: { name: 'other' } }],
  ])('is found as it should be right after: with %s', (_, spec) => {
    const { foreign, metadataDigest, content, ownerUid } = inspectSecret(again(spec, undefined));
    expect([foreign, metadataDigest]).toEqual([false, desiredMetadataDigest(specOf(spec), owner)]);
    expect(content).toMatchObject({ state: 'sound', outputs: desiredOutputs(specOf(spec)) });
    expect(ownerUid).toBe('deletionPolicy' in spec ? 'u-web' : '');
  });
});

describe('a Secret that is written again', () => {
  test('is bound to what was looked at', () => {
    expect(
      renderSecret(specOf(), owner, issued.material, book, { uid: 'u', resourceVersion: '5' }).metadata,
    ).toMatchObject({ uid: 'u', resourceVersion: '5' });
  });

  test('keeps what others have put there', () => {
    const others = {
      ...issued.raw,
      labels: { ...issued.raw.labels, theirs: '1' },
      annotations: { ...issued.raw.annotations, 'theirs/a': '2' },
      data: { ...issued.raw.data, 'notes.txt': 'eA==' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'p' }],
      metadata: { ...issued.raw.metadata, finalizers: ['theirs/f'] },
    };
    const { labels, annotations, data, ownerReferences, metadata } = again({}, others);
    expect([labels['theirs'], annotations['theirs/a'], data['notes.txt']]).toEqual(['1', '2', 'eA==']);
    expect(ownerReferences).toEqual(others.ownerReferences);
    expect(metadata['finalizers']).toEqual(['theirs/f']);
  });

  test('loses what the template has lost, and only that', () => {
    const before = again({ secretTemplate: template }, undefined);
    const base = { ...before, labels: { ...before.labels, theirs: '1' } };
    const after = again({ secretTemplate: { labels: {}, annotations: { 'example.com/b': '2' } } }, base);
    expect(after.labels).toEqual({ 'mtls-operator.io/purpose': 'workload-certificate', theirs: '1' });
    expect(Object.keys(after.annotations).filter((key) => key.startsWith('example.com/'))).toEqual(['example.com/b']);
  });

  test('loses outputs that the spec has lost', () => {
    const before = again({ outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }] }, undefined);
    expect(Object.keys(again({ outputs: [{ type: 'DER' }] }, before).data).sort()).toEqual([
      'ca.crt',
      'key.der',
      'tls.crt',
      'tls.key',
    ]);
  });

  test('has used up the word that handed it over', () => {
    const adopted = { ...issued.raw, annotations: { 'mtls-operator.io/adopt': 'web', 'theirs/a': '2' }, labels: {} };
    const { annotations } = again({}, adopted);
    expect(annotations).not.toHaveProperty('mtls-operator.io/adopt');
    expect(annotations).toMatchObject({ 'mtls-operator.io/certificate': 'web', 'theirs/a': '2' });
  });

  test('remembers the renew-at that it has honoured, and no older one', () => {
    const honoured = renderSecret(specOf(), owner, issued.material, { revision: 2, renewedAt: 't1' });
    expect(honoured.metadata['annotations']).toMatchObject({ 'mtls-operator.io/renewed-at': 't1' });
    expect(again({}, storedSecret(honoured)).annotations).not.toHaveProperty('mtls-operator.io/renewed-at');
  });
});

describe('owner references', () => {
  const ref = (uid: string) => ({
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    name: 'web',
    uid,
  });
  const pod = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'p' };
  const namesake = { apiVersion: 'example.com/v1', kind: 'WorkloadCertificate', name: 'x', uid: 'x' };
  const written = (deletionPolicy: string, ownerReferences: object[], keepOwners = false) =>
    again(
      { deletionPolicy },
      { ...issued.raw, ownerReferences: ownerReferences.map((reference) => ({ ...reference })) },
      keepOwners,
    ).ownerReferences;

  test('with Delete name the certificate, with no controller and nothing blocked', () => {
    expect(written('Delete', [])).toEqual([ref('u-web')]);
  });

  test('with Retain never do', () => {
    expect(written('Retain', [ref('u-web')])).toEqual([]);
  });

  test('of an older UID are replaced', () => {
    expect(written('Delete', [ref('old')])).toEqual([ref('u-web')]);
  });

  test('of others stay, also of another group by the same kind', () => {
    expect(written('Retain', [pod, namesake, ref('old')])).toEqual([pod, namesake]);
    expect(written('Delete', [pod, namesake])).toEqual([pod, namesake, ref('u-web')]);
  });

  test('that are right keep their order: another one would be a change', () => {
    expect(written('Delete', [ref('u-web'), pod])).toEqual([ref('u-web'), pod]);
  });

  test('stay as they are where they may not be changed', () => {
    expect(written('Retain', [ref('old')], true)).toEqual([ref('old')]);
  });
});
