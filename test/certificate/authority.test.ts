/** Authorities of the operator's own making: the default one, renewal of the issuing CA under leaves in use, deletion, switching. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthorityKind } from '../../src/api/index.ts';
import { loadConnection, systemClock } from '../../src/kube/index.ts';
import { startOperator } from '../../src/operator.ts';
import { operatorUser } from '../support/operator.ts';
import { readSecretObject } from '../support/secret.ts';
import { DAY, postCa } from './caSecrets.ts';
import { condition, inSeconds, OPERATOR_NAMESPACE, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start(['--create-default-authority', '--trust-domain=tests.example']);
});

afterAll(() => world?.[Symbol.asyncDispose]());

/** Issued anew about every eight seconds. */
const shortLived = { duration: '1m', renewBefore: '50s' };

const secretsPath = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/secrets`;

describe('the default authority', () => {
  test('is made once, with the trust domain that was given, and is told of by columns, status and events', async () => {
    await world.authorityReason('default', 'Ready');
    const { spec, status } = await world.authority('default');
    expect(spec.trustDomain).toBe('tests.example');
    expect(status).toMatchObject({
      phase: 'Ready',
      root: { secretName: 'default-root-1' },
      issuing: { secretName: 'default-issuing-1' },
    });
    expect(status.generations?.map(({ role, phase }) => `${role} ${phase}`)).toEqual(['Root Active', 'Issuing Active']);
    expect(status.trust?.roots).toHaveLength(1);
    await world.event('default', 'default', 'RootCreated');
    await world.event('default', 'default', 'IssuingCreated');
    const before = (await world.generations('default')).map(({ metadata }) => metadata.resourceVersion);
    await world.restartOperator();
    expect((await world.generations('default')).map(({ metadata }) => metadata.resourceVersion)).toEqual(before);
  });

  test('is not made beside one that its owner has made, nor again once it was deleted', async () => {
    await world.createAuthority('own', { trustDomain: 'own.example', selfSigned: {} });
    await world.authorityReason('own', 'Ready');
    await world.send('DELETE', certificateAuthorityKind.path(undefined, 'default'));
    const path = certificateAuthorityKind.path(undefined, 'default');
    await waitFor('the default authority to be gone', async () => (await world.find(path)) === undefined);
    await world.restartOperator();
    await world.authorityReason('own', 'Ready');
    expect(await world.find(path)).toBeUndefined();
    // Its CAs are kept: made again, it is the same authority to its peers.
    const before = await world.generations('default');
    expect(before).toHaveLength(2);
    await world.createAuthority('default', { trustDomain: 'tests.example', selfSigned: {} });
    await world.authorityReason('default', 'Ready');
    expect((await world.generations('default')).map(({ metadata }) => metadata.uid)).toEqual(
      before.map(({ metadata }) => metadata.uid),
    );
  });

  test('keeps its CAs in immutable Secrets without owner', async () => {
    const generations = await world.generations('default');
    expect(generations.map(({ metadata }) => metadata.name).sort()).toEqual(['default-issuing-1', 'default-root-1']);
    for (const { immutable, metadata, type } of generations) {
      expect([immutable, type, metadata.ownerReferences]).toEqual([true, 'kubernetes.io/tls', []]);
      expect(metadata.annotations).toMatchObject({
        'mtls-operator.io/phase': 'Active',
        'mtls-operator.io/generation': '1',
      });
      await expect(world.patchSecret(OPERATOR_NAMESPACE, metadata.name, { data: { 'tls.key': '' } })).rejects.toThrow(
        /immutable/,
      );
    }
  });
});

describe('the issuing CA', () => {
  test('is renewed under leaves in use: none is reissued for it, and every chain verifies throughout', async () => {
    const root = await postCa(world, 'renewed', 1, [-3600, 36_000]);
    // Renewed a minute before its end: twelve seconds from now.
    await postCa(world, 'renewed', 1, [-108, 72], root);
    const spec = {
      trustDomain: 'renewed.example',
      selfSigned: { root: { duration: '10h' }, issuing: { duration: '6m' } },
      maxCertificateDuration: '1m',
    };
    await world.createAuthority('renewed', spec);
    const authority = 'renewed';
    const namespace = await world.namespace();
    const authorityRef = { name: 'renewed' };
    await world.createSimple(namespace, 'often', { authorityRef, ...shortLived });
    await world.createSimple(namespace, 'seldom', { authorityRef, duration: '1m', renewBefore: '20s' });
    for (const name of ['often', 'seldom']) await world.ready(namespace, name);
    const seldom = await world.secret(namespace, 'seldom', { authority });
    const first = seldom.intermediates[0]?.fingerprint256;

    // Every look from here on checks the whole Secret: key, chain and roots.
    await world.secretWhen(
      namespace,
      'often',
      'to be signed by the next issuing CA',
      ({ intermediates }) => intermediates[0]?.fingerprint256 !== first,
      { authority, timeoutMs: 40_000 },
    );
    const { status } = await world.authority('renewed');
    expect(status.issuing?.secretName).toBe('renewed-issuing-2');
    expect(status.generations?.find(({ secretName }) => secretName === 'renewed-issuing-1')?.phase).toBe('Retired');
    await waitFor('the old one to be marked', async () => {
      const old = (await world.generations('renewed')).find(({ metadata }) => metadata.name === 'renewed-issuing-1');
      return old?.metadata.annotations['mtls-operator.io/phase'] === 'Retired';
    });
    // Nothing was done to the other: it still has the certificate of the CA that was renewed.
    const still = await world.secret(namespace, 'seldom', { authority });
    expect(still.object.metadata.resourceVersion).toBe(seldom.object.metadata.resourceVersion);
    expect(still.roots.map(String)).toEqual(seldom.roots.map(String));
    // It is renewed in its own time, by the new CA.
    const renewed = await world.secretWhen(namespace, 'seldom', 'to be renewed', ({ revision }) => revision === 2, {
      authority,
      timeoutMs: 60_000,
    });
    expect(renewed.intermediates[0]?.fingerprint256).not.toBe(first);
    const issuances = await world.issuances(namespace, 4);
    expect(new Set(issuances.map(({ reason }) => reason))).toEqual(new Set(['SecretMissing', 'RenewalDue']));
  });

  test('that has ended and has but one successor, made after its end, is kept: a clock that jumped would do just that', async () => {
    const root = await postCa(world, 'jumped', 1, [-3600, 36_000]);
    await postCa(world, 'jumped', 1, [-6000, -1000], root);
    const spec = { trustDomain: 'jumped.example', selfSigned: {}, maxCertificateDuration: '1m' };
    await world.createAuthority('jumped', spec);
    await world.authorityReason('jumped', 'Ready');
    await world.restartOperator();
    await world.authorityReason('jumped', 'Ready');
    const names = (await world.generations('jumped')).map(({ metadata }) => metadata.name).sort();
    expect(names).toEqual(['jumped-issuing-1', 'jumped-issuing-2', 'jumped-root-1']);
  });

  test('that has ended by a clock that is far ahead is kept, since the API server’s clock does not bear that out', async () => {
    const root = await postCa(world, 'ahead', 1, [-100 * DAY, 3650 * DAY]);
    await postCa(world, 'ahead', 1, [-100 * DAY, 20 * DAY], root);
    await postCa(world, 'ahead', 2, [-60 * DAY, 700 * DAY], root);
    await world.createAuthority('ahead', { trustDomain: 'ahead.example', selfSigned: {} });
    await world.authorityReason('ahead', 'Ready');
    const before = (await world.generations('ahead')).map(({ metadata }) => metadata.uid);
    await world.operator.stop();
    const lines: unknown[] = [];
    const note = (fields: object, message: string) => lines.push({ ...fields, message });
    const log = { debug: note, info: note, warn: note, error: note };
    const stopping = new AbortController();
    const operator = await startOperator(
      {
        connection: await loadConnection({ kubeconfig: await world.cluster.kubeconfigFor(operatorUser) }),
        clock: { ...systemClock, now: () => Date.now() + 30 * DAY * 1000 },
        random: Math.random,
        log,
        namespace: OPERATOR_NAMESPACE,
        namespaces: 'all',
        clusterDomain: 'cluster.local',
        defaultAuthority: undefined,
        identity: 'ahead',
        leaderElection: false,
        workers: 1,
        maxRestarts: 10,
        watchPods: false,
        mesh: undefined,
        healthPort: 0,
        healthHost: '127.0.0.1',
        version: 'test',
      },
      stopping.signal,
    );
    try {
      await waitFor('the clocks to be compared', async () =>
        lines.find((line) => JSON.stringify(line).includes('"kept":["ahead-issuing-1"]')),
      );
    } finally {
      stopping.abort();
      await operator.ended;
    }
    expect((await world.generations('ahead')).map(({ metadata }) => metadata.uid)).toEqual(before);
    await world.startOperator();
  });

  test('that has expired is removed once another signs; the root stays', async () => {
    const root = await postCa(world, 'expired', 1, [-3600, 36_000]);
    await postCa(world, 'expired', 1, [-600, 15], root);
    await world.createAuthority('expired', {
      trustDomain: 'expired.example',
      selfSigned: { root: { duration: '10h' }, issuing: { duration: '6m' } },
      maxCertificateDuration: '1m',
    });
    await waitFor('the expired CA to be removed', async () => {
      const names = (await world.generations('expired')).map(({ metadata }) => metadata.name).sort();
      return names.join() === 'expired-issuing-2,expired-root-1';
    });
    await world.authorityReason('expired', 'Ready');
    expect((await world.authority('expired')).status.root?.fingerprint).toBe(root.certificate.fingerprint);
  });
});

describe('an authority', () => {
  test.each([
    [
      { algorithm: 'RSA', size: 2048 },
      { algorithm: 'ECDSA', size: 384 },
    ],
    [{ algorithm: 'Ed25519' }, { algorithm: 'RSA', size: 3072 }],
  ])('with a root of %j and an issuing CA of %j signs', async (root, issuing) => {
    const name = `keys-${root.algorithm.toLowerCase()}`;
    const selfSigned = { root: { privateKey: root }, issuing: { privateKey: issuing } };
    await world.createAuthority(name, { trustDomain: 'keys.example', selfSigned });
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', { authorityRef: { name } });
    await world.ready(namespace, 'web');
    const secret = await world.secret(namespace, 'web', { authority: name });
    expect(secret.intermediates[0]?.publicKey.asymmetricKeyType).toBe(issuing.algorithm === 'RSA' ? 'rsa' : 'ec');
  });

  test('that does not exist is named, and once it is made the certificate comes', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', { authorityRef: { name: 'later' } });
    const { message } = await world.reason(namespace, 'web', 'Ready', 'AuthorityNotFound');
    expect(message).toMatch(/no CertificateAuthority "later": create it, or correct spec\.authorityRef\.name/);
    await world.createAuthority('later', { trustDomain: 'later.example', selfSigned: {} });
    await world.ready(namespace, 'web');
    await world.secret(namespace, 'web', { authority: 'later' });
  });

  test('in use is held by a finalizer, says by whom, goes on signing, and is released after the last', async () => {
    await world.createAuthority('held', { trustDomain: 'held.example', selfSigned: {} });
    const namespace = await world.namespace();
    const authorityRef = { name: 'held' };
    for (const name of ['one', 'two']) await world.createSimple(namespace, name, { authorityRef });
    for (const name of ['one', 'two']) await world.ready(namespace, name);
    const path = certificateAuthorityKind.path(undefined, 'held');
    await world.send('DELETE', path);
    const held = await waitFor('the authority to say what holds it', async () => {
      const { status } = await world.authority('held');
      return status.phase === 'Deleting' ? status.conditions?.find(({ type }) => type === 'Ready') : undefined;
    });
    expect(held.message).toContain(`${namespace}/one`);
    await world.annotate(namespace, 'one', { 'mtls-operator.io/renew-at': inSeconds(-1) });
    await world.secretWhen(namespace, 'one', 'to be renewed', ({ revision }) => revision === 2, { authority: 'held' });
    await world.remove(namespace, 'one');
    expect(await world.find(path)).toBeDefined();
    // The other moves away: now nobody asks for it.
    await world.patch(namespace, 'two', { spec: { authorityRef: { name: 'default' } } });
    await waitFor('the authority to be gone', async () => (await world.find(path)) === undefined);
    await world.ready(namespace, 'two');
    await world.secret(namespace, 'two');
    expect(await world.generations('held')).toHaveLength(2);
  });

  test('whose maximum is lowered has longer certificates issued anew, and others left alone', async () => {
    await world.createAuthority('maximum', { trustDomain: 'maximum.example', selfSigned: {} });
    const namespace = await world.namespace();
    const authorityRef = { name: 'maximum' };
    await world.createSimple(namespace, 'long', { authorityRef, duration: '100h' });
    await world.createSimple(namespace, 'short', { authorityRef, duration: '10h' });
    for (const name of ['long', 'short']) await world.ready(namespace, name);
    await world.patchAuthority('maximum', { spec: { maxCertificateDuration: '50h' } });
    const long = await world.secretWhen(namespace, 'long', 'to be issued anew', ({ revision }) => revision === 2, {
      authority: 'maximum',
    });
    expect(long.leaf.validToDate.getTime() - long.leaf.validFromDate.getTime()).toBe(50 * 3_600_000 + 300_000);
    const told = async (name: string): Promise<string> =>
      (await world.certificate(namespace, name)).status.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
    await waitFor('the shorter life to be told', async () => (await told('long')).includes('for less than the'));
    expect(await told('short')).toMatch(/is valid until \S+Z$/);
    await world.annotate(namespace, 'short', { 'mtls-operator.io/renew-at': inSeconds(-1) });
    await world.secretWhen(namespace, 'short', 'to be renewed by request', ({ revision }) => revision >= 2, {
      authority: 'maximum',
    });
    expect((await world.secret(namespace, 'short', { authority: 'maximum' })).revision).toBe(2);
  });

  test('whose root nears its end says so in a condition and one event, and goes on signing', async () => {
    const root = await postCa(world, 'ending', 1, [-3600, 3600]);
    const selfSigned = { root: { duration: '10h' }, issuing: { duration: '2h' } };
    await world.createAuthority('ending', { trustDomain: 'ending.example', selfSigned, maxCertificateDuration: '1m' });
    await world.authorityReason('ending', 'Ready');
    const expiring = async () =>
      (await world.authority('ending')).status.conditions?.find(({ type }) => type === 'Expiring');
    const told = await expiring();
    expect(told).toMatchObject({ status: 'True', reason: 'RootExpiring' });
    expect(told?.message).toContain('"ending-root-1"');
    expect(told?.message).toContain(root.certificate.notAfter.toISOString());
    expect((await world.event('default', 'ending', 'RootExpiring')).type).toBe('Warning');
    await world.restartOperator();
    await world.patchAuthority('ending', { spec: { maxCertificateDuration: '2m' } });
    await world.authorityReason('ending', 'Ready');
    // Events of a later cause come after those of an earlier one.
    await world.removeSecret(OPERATOR_NAMESPACE, 'ending-root-1');
    await world.event('default', 'ending', 'KeyMissing');
    const events = (await world.events('default', 'ending')).filter(({ reason }) => reason === 'RootExpiring');
    expect(events).toHaveLength(1);
    expect((await expiring())?.lastTransitionTime).toBe(told?.lastTransitionTime);
  });

  test('that was stored under another schema says so, and so do its certificates, after a restart too', async () => {
    await world.createAuthority('stored', { trustDomain: 'stored.example', selfSigned: {} });
    const namespace = await world.namespace();
    const authorityRef = { name: 'stored' };
    await world.createSimple(namespace, 'web', { authorityRef });
    await world.ready(namespace, 'web');
    const before = await world.secretObject(namespace, 'web');
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${certificateAuthorityKind.crdName}`;
    const { spec } = (await world.find(path)) ?? {};
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const version = { name: 'v1alpha1', served: true, storage: true, subresources: { status: {} }, schema };
    const breakIt = { spec: { maxCertificateDuration: 7 } };
    await world.send('PATCH', path, { spec: { versions: [version] } });
    await waitFor('the lax schema to be in force', async () => {
      const answer = world.send('PATCH', certificateAuthorityKind.path(undefined, 'stored'), breakIt);
      return await answer.then(
        () => true,
        () => undefined,
      );
    });
    await world.send('PATCH', path, { spec });
    await world.restartOperator();
    await world.createSimple(namespace, 'late', { authorityRef });
    const { message } = await world.reason(namespace, 'late', 'Ready', 'AuthorityNotReady');
    expect(message).toMatch(/"stored" cannot sign \(SpecInvalid\): .*maxCertificateDuration/);
    await world.reason(namespace, 'web', 'Issuing', 'AuthorityNotReady');
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    const object = await world.find(certificateAuthorityKind.path(undefined, 'stored'));
    expect(JSON.stringify(object?.['status'])).toContain('"SpecInvalid"');
    expect((await world.event('default', 'stored', 'SpecInvalid')).type).toBe('Warning');
    // Corrected, all goes on.
    await world.patchAuthority('stored', { spec: { maxCertificateDuration: '24h' } });
    for (const name of ['web', 'late']) await world.ready(namespace, name);
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });

  test('whose CA Secret loses a label misses it, and has it back with the label', async () => {
    await world.createAuthority('relabelled', { trustDomain: 'relabelled.example', selfSigned: {} });
    await world.authorityReason('relabelled', 'Ready');
    for (const label of ['mtls-operator.io/authority', 'mtls-operator.io/purpose']) {
      const { labels } = (await world.secretObject(OPERATOR_NAMESPACE, 'relabelled-issuing-1')).metadata;
      const was = labels[label];
      expect(was).toBeDefined();
      await world.patchSecret(OPERATOR_NAMESPACE, 'relabelled-issuing-1', { metadata: { labels: { [label]: null } } });
      const { message } = await world.authorityReason('relabelled', 'KeyMissing');
      expect(message).toContain('"relabelled-issuing-1"');
      await world.patchSecret(OPERATOR_NAMESPACE, 'relabelled-issuing-1', { metadata: { labels: { [label]: was } } });
      await world.authorityReason('relabelled', 'Ready');
    }
  });

  test('whose Secret’s name is taken by something else says so, does it no harm, and once it is gone signs', async () => {
    const before = readSecretObject(
      await world.send('POST', secretsPath, { metadata: { name: 'blocked-root-1' }, stringData: { a: 'b' } }),
    );
    await world.createAuthority('blocked', { trustDomain: 'blocked.example', selfSigned: {} });
    const { message } = await world.authorityReason('blocked', 'GenerationBroken');
    expect(message).toMatch(/"blocked-root-1".*in the way/);
    expect(readSecretObject(await world.send('GET', `${secretsPath}/blocked-root-1`))).toEqual(before);
    await world.removeSecret(OPERATOR_NAMESPACE, 'blocked-root-1');
    await world.authorityReason('blocked', 'Ready');
    expect(await world.generations('blocked')).toHaveLength(2);
  });
});
