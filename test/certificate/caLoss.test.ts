/** When Secrets of CA generations are lost: said, never silently remade, and certificates go on for as long as anything can sign. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthorityKind } from '../../src/api/index.ts';
import type { SecretObject } from '../support/secret.ts';
import { caIn, DAY, postCa, restore } from './caSecrets.ts';
import { condition, inSeconds, OPERATOR_NAMESPACE, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start([]);
});

afterAll(() => world?.[Symbol.asyncDispose]());

interface Scene {
  readonly name: string;
  readonly namespace: string;
  readonly fingerprint: string;
  readonly root: SecretObject;
  readonly issuing: SecretObject;
}

/** An authority with one certificate. */
async function scene(name: string): Promise<Scene> {
  await world.createAuthority(name, { trustDomain: 'loss.example', selfSigned: {} });
  const namespace = await world.namespace();
  await world.createSimple(namespace, 'web', { authorityRef: { name } });
  await world.ready(namespace, 'web');
  await world.authorityReason(name, 'Ready');
  const root = await world.secretObject(OPERATOR_NAMESPACE, `${name}-root-1`);
  const issuing = await world.secretObject(OPERATOR_NAMESPACE, `${name}-issuing-1`);
  const fingerprint = (await world.authority(name)).status.root?.fingerprint ?? '';
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  return { name, namespace, fingerprint, root, issuing };
}

async function lose(...secrets: SecretObject[]): Promise<void> {
  for (const { metadata } of secrets) await world.removeSecret(OPERATOR_NAMESPACE, metadata.name);
}

const forceRenewal = (namespace: string) =>
  world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });

/** Gives up CAs for good. */
const accept = (name: string, ...fingerprints: string[]) =>
  world.patchAuthority(name, {
    metadata: { annotations: { 'mtls-operator.io/replace-missing': fingerprints.join(',') } },
  });

const fingerprintOf = ({ metadata }: SecretObject) => metadata.annotations['mtls-operator.io/fingerprint'] ?? '';

const clearStatus = (name: string) =>
  world.send('PATCH', certificateAuthorityKind.path(undefined, name, 'status'), { status: null });

/** As if the object had never been looked at: only Secrets tell of its CAs. */
const forgetCas = async (name: string) => {
  await clearStatus(name);
  await world.patchAuthority(name, { metadata: { annotations: { 'mtls-operator.io/generations': null } } });
};

const names = async (authority: string) =>
  (await world.generations(authority)).map(({ metadata }) => metadata.name).sort();

describe('the root’s Secret lost', () => {
  test('is KeyMissing with what to do; certificates go on; restored, all is as before', async () => {
    const { name, namespace, fingerprint, root } = await scene('root');
    await lose(root);
    const { status, message } = await world.authorityReason(name, 'KeyMissing');
    expect(status).toBe('False');
    expect(message).toContain(fingerprint);
    expect(message).toMatch(/[Rr]estore it from a backup/);
    expect(message).toContain(`mtls-operator.io/replace-missing=${fingerprint}`);
    expect((await world.event('default', name, 'KeyMissing')).type).toBe('Warning');
    await forceRenewal(namespace);
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2, {
      authority: name,
    });
    await world.ready(namespace, 'web');
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual([`${name}-issuing-1`]);
    await restore(world, root);
    await world.authorityReason(name, 'Ready');
    expect((await world.authority(name)).status.root?.fingerprint).toBe(fingerprint);
    expect((await world.secret(namespace, 'web', { authority: name })).serialNumber).toBe(renewed.serialNumber);
  });
});

describe('the issuing CA’s Secret lost', () => {
  test('under a healthy root is KeyMissing with both ways out; nothing is made or reissued, and restored all goes on', async () => {
    const { name, namespace, fingerprint, issuing } = await scene('issuing');
    const before = await world.secretObject(namespace, 'web');
    await lose(issuing);
    const { status, message } = await world.authorityReason(name, 'KeyMissing');
    expect(status).toBe('False');
    expect(message).toContain('"issuing-issuing-1"');
    expect(message).toContain('root in Secret "issuing-root-1" is healthy');
    expect(message).toMatch(/[Rr]estore it from a backup/);
    expect(message).toContain(`mtls-operator.io/replace-missing=${fingerprintOf(issuing)}`);
    expect((await world.event('default', name, 'KeyMissing')).type).toBe('Warning');
    // Nothing new is signed, what is there stays, and a restart changes nothing about it.
    await world.createSimple(namespace, 'late', { authorityRef: { name } });
    expect((await world.reason(namespace, 'late', 'Ready', 'AuthorityNotReady')).message).toContain('KeyMissing');
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    await forceRenewal(namespace);
    await world.reason(namespace, 'web', 'Issuing', 'AuthorityNotReady');
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': null });
    expect(await names(name)).toEqual(['issuing-root-1']);
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    await restore(world, issuing);
    await world.authorityReason(name, 'Ready');
    await world.ready(namespace, 'late');
    await world.ready(namespace, 'web');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    expect((await world.authority(name)).status.root?.fingerprint).toBe(fingerprint);
    expect(await names(name)).toEqual(['issuing-issuing-1', 'issuing-root-1']);
  });

  test('with the status gone is remembered by the leaves that hang on it, and accepted has the same root sign another', async () => {
    const { name, namespace, fingerprint, issuing } = await scene('given-up');
    const before = await world.secret(namespace, 'web', { authority: name });
    await world.operator.stop();
    await lose(issuing);
    await forgetCas(name);
    await world.startOperator();
    expect((await world.authorityReason(name, 'KeyMissing')).message).toContain('"given-up-issuing-1"');
    expect(await names(name)).toEqual(['given-up-root-1']);
    expect(await world.secretObject(namespace, 'web')).toEqual(before.object);
    await accept(name, fingerprintOf(issuing));
    await world.authorityReason(name, 'Ready');
    const after = await world.secretWhen(namespace, 'web', 'to be issued anew', ({ revision }) => revision === 2, {
      authority: name,
    });
    expect(after.text('ca.crt')).toBe(before.text('ca.crt'));
    expect(after.intermediates[0]?.fingerprint256).not.toBe(before.intermediates[0]?.fingerprint256);
    expect((await world.authority(name)).status.root?.fingerprint).toBe(fingerprint);
    expect(await names(name)).toEqual(['given-up-issuing-2', 'given-up-root-1']);
  });

  test('while a newer one signs is told of in passing: its leaves stay, renewals go on', async () => {
    const { name, namespace, root, issuing } = await scene('older');
    const before = await world.secretObject(namespace, 'web');
    await world.operator.stop();
    await postCa(world, name, 2, [-60, 365 * DAY], caIn(root));
    await world.startOperator();
    await waitFor('the newer one to sign', async () => {
      return (await world.authority(name)).status.issuing?.secretName === 'older-issuing-2';
    });
    await lose(issuing);
    const { status, message } = await waitFor('the loss to be told', async () => {
      const ready = await world.authorityReason(name, 'Ready');
      return ready.message.includes('"older-issuing-1"') ? ready : undefined;
    });
    expect(status).toBe('True');
    expect(message).toContain(fingerprintOf(issuing));
    await world.restartOperator();
    await world.authorityReason(name, 'Ready');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    await forceRenewal(namespace);
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2, { authority: name });
    await world.ready(namespace, 'web');
    await world.restartOperator();
    // Nothing hangs on it any more.
    expect((await world.authorityReason(name, 'Ready')).message).not.toContain('older-issuing-1');
    expect(await names(name)).toEqual(['older-issuing-2', 'older-root-1']);
  });

  test('that never was, as after a crash between root and issuing CA, is made', async () => {
    const { root } = await scene('model');
    const { data, immutable, type, metadata } = root;
    const copy = { ...metadata.labels, 'mtls-operator.io/authority': 'half' };
    await world.createSecret(OPERATOR_NAMESPACE, {
      metadata: { name: 'half-root-1', labels: copy, annotations: metadata.annotations },
      data,
      immutable,
      type,
    });
    await world.createAuthority('half', { trustDomain: 'loss.example', selfSigned: {} });
    await world.authorityReason('half', 'Ready');
    expect(await names('half')).toEqual(['half-issuing-1', 'half-root-1']);
  });
});

describe('both lost', () => {
  test('with status and leaf Secrets left: nothing is made, certificates in use stay, and a restore brings all back', async () => {
    const { name, namespace, fingerprint, root, issuing } = await scene('both');
    const before = await world.secretObject(namespace, 'web');
    await lose(root, issuing);
    expect((await world.authorityReason(name, 'KeyMissing')).message).toContain(fingerprint);
    const waiting = await world.reason(namespace, 'web', 'Issuing', 'AuthorityNotReady');
    expect(waiting.message).toContain('KeyMissing');
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual([]);
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    await restore(world, issuing, root);
    await world.authorityReason(name, 'Ready');
    await world.ready(namespace, 'web');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });

  test.each([
    ['the root first', 'root-first', (root: SecretObject, issuing: SecretObject) => [root, issuing]],
    ['the issuing CA first', 'root-last', (root: SecretObject, issuing: SecretObject) => [issuing, root]],
  ])('come back into a running operator in any order: %s', async (_, scenery, order) => {
    const { name, namespace, root, issuing } = await scene(scenery);
    const before = await world.secretObject(namespace, 'web');
    await lose(root, issuing);
    await world.authorityReason(name, 'KeyMissing');
    await world.operator.stop();
    await forgetCas(name);
    await world.startOperator();
    await world.authorityReason(name, 'KeyMissing');
    for (const secret of order(root, issuing)) {
      await restore(world, secret);
      // Whatever the operator makes of this one, it has made it when the message names the other.
      await waitFor('the operator to have seen it', async () => {
        const { status } = await world.authority(name);
        const { reason, message } = status.conditions?.find(({ type }) => type === 'Ready') ?? {};
        return reason === 'Ready' || !message?.includes(fingerprintOf(secret));
      });
    }
    await world.authorityReason(name, 'Ready');
    await world.ready(namespace, 'web');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
    expect(await names(name)).toEqual([`${name}-issuing-1`, `${name}-root-1`]);
  });

  test('and the status too, as after a restore of objects alone: what workloads trust is remembered by their Secrets', async () => {
    const { name, fingerprint, root, issuing } = await scene('status');
    await world.operator.stop();
    await lose(root, issuing);
    await forgetCas(name);
    await world.startOperator();
    expect((await world.authorityReason(name, 'KeyMissing')).message).toContain(fingerprint);
    expect(await names(name)).toEqual([]);
  });

  test('without any certificate left: status remembers, through writes of status and restarts', async () => {
    const { name, namespace, fingerprint, root, issuing } = await scene('unused');
    await world.remove(namespace, 'web');
    await world.removeSecret(namespace, 'web');
    await lose(root);
    await world.authorityReason(name, 'KeyMissing');
    await lose(issuing);
    await waitFor('the issuing CA to be missed too', async () =>
      (await world.authorityReason(name, 'KeyMissing')).message.includes(fingerprintOf(issuing)),
    );
    await world.restartOperator();
    await world.patchAuthority(name, { metadata: { annotations: { touched: 'yes' } } });
    await world.restartOperator();
    expect((await world.authorityReason(name, 'KeyMissing')).message).toContain(fingerprint);
    expect(await names(name)).toEqual([]);
    // As an authority that was restored before anything else: without status, all that it had stands in its annotation.
    await world.operator.stop();
    await clearStatus(name);
    await world.startOperator();
    const { message } = await world.authorityReason(name, 'KeyMissing');
    for (const lost of [root, issuing]) expect(message).toContain(`"${lost.metadata.name}" (${fingerprintOf(lost)})`);
    await restore(world, root, issuing);
    await world.authorityReason(name, 'Ready');
    expect(await names(name)).toEqual([`${name}-issuing-1`, `${name}-root-1`]);
  });

  test('and accepted: a new root is made, and every certificate is issued anew under it', async () => {
    const { name, namespace, fingerprint, root, issuing } = await scene('accepted');
    const before = await world.secret(namespace, 'web', { authority: name });
    await lose(root, issuing);
    await world.authorityReason(name, 'KeyMissing');
    // Another fingerprint accepts nothing.
    await accept(name, '0'.repeat(64));
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual([]);
    await accept(name, fingerprint, fingerprintOf(issuing));
    await world.authorityReason(name, 'Ready');
    await world.ready(namespace, 'web');
    const after = await world.secret(namespace, 'web', { authority: name });
    expect(after.text('ca.crt')).not.toBe(before.text('ca.crt'));
    expect(after.revision).toBe(2);
  });
});

describe('the root lost for good while its issuing CA still signs', () => {
  test('once that is accepted a new root is made beside it, and everybody trusts both before the old one goes', async () => {
    const { name, namespace, fingerprint, root } = await scene('handover');
    const before = await world.secret(namespace, 'web', { authority: name });
    await lose(root);
    await world.authorityReason(name, 'KeyMissing');
    await accept(name, fingerprint);
    await world.authorityReason(name, 'Ready');
    const both = await world.secretWhen(namespace, 'web', 'to trust both roots', ({ roots }) => roots.length === 2, {
      authority: name,
    });
    // What is in use stays in use: peers that have not reloaded yet know its root alone.
    expect(both.serialNumber).toBe(before.serialNumber);
    expect(both.roots.map(String)).toContain(String(before.roots[0]));
    await forceRenewal(namespace);
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2, {
      authority: name,
    });
    expect(renewed.roots).toHaveLength(2);
    expect(await names(name)).not.toContain(`${name}-root-1`);
  });
});

describe('a generation’s Secret that is damaged', () => {
  test('is named with what is wrong and never replaced', async () => {
    const { name, namespace, root, issuing } = await scene('damaged');
    const before = await world.secretObject(namespace, 'web');
    await world.operator.stop();
    await lose(root, issuing);
    const broken = { ...root, data: { ...root.data, 'tls.crt': Buffer.from('no certificate').toString('base64') } };
    await restore(world, broken);
    await world.startOperator();
    expect((await world.authorityReason(name, 'GenerationBroken')).message).toMatch(
      /"damaged-root-1".*restore|restore.*"damaged-root-1"/,
    );
    expect(await names(name)).toEqual(['damaged-root-1']);
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });
});
