/** When Secrets of CA generations are lost: said, never silently remade, and certificates go on for as long as anything can sign. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthorityKind } from '../../src/api/index.ts';
import type { SecretObject } from '../support/secret.ts';
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

/** One after the other: an issuing CA that goes while its root is still there is made again, as it should be. */
async function lose(...secrets: SecretObject[]): Promise<void> {
  for (const { metadata } of secrets) await world.removeSecret(OPERATOR_NAMESPACE, metadata.name);
}

/** From a backup, which has the object as it was but for what the API server gives. */
async function restore(...secrets: SecretObject[]): Promise<void> {
  for (const { metadata, type, immutable, data } of secrets) {
    const { name, labels, annotations } = metadata;
    await world.createSecret(OPERATOR_NAMESPACE, { metadata: { name, labels, annotations }, type, immutable, data });
  }
}

const forceRenewal = (namespace: string) =>
  world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });

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
    expect(message).toContain(`mtls-operator.io/replace-missing-root=${fingerprint}`);
    expect((await world.event('default', name, 'KeyMissing')).type).toBe('Warning');
    await forceRenewal(namespace);
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2, {
      authority: name,
    });
    await world.ready(namespace, 'web');
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual([`${name}-issuing-1`]);
    await restore(root);
    await world.authorityReason(name, 'Ready');
    expect((await world.authority(name)).status.root?.fingerprint).toBe(fingerprint);
    expect((await world.secret(namespace, 'web', { authority: name })).serialNumber).toBe(renewed.serialNumber);
  });
});

describe('the issuing CA’s Secret lost', () => {
  test('has the root sign another, and every certificate verifies against the same root', async () => {
    const { name, namespace, fingerprint, issuing } = await scene('issuing');
    const before = await world.secret(namespace, 'web', { authority: name });
    await lose(issuing);
    await waitFor('another issuing CA', async () => {
      const now = (await world.authority(name)).status.issuing?.fingerprint;
      return now !== issuing.metadata.annotations['mtls-operator.io/fingerprint'];
    });
    await forceRenewal(namespace);
    const after = await world.secretWhen(
      namespace,
      'web',
      'to be of the other',
      ({ intermediates }) => intermediates[0]?.fingerprint256 !== before.intermediates[0]?.fingerprint256,
      { authority: name },
    );
    expect(after.text('ca.crt')).toBe(before.text('ca.crt'));
    expect((await world.authority(name)).status.root?.fingerprint).toBe(fingerprint);
    await world.authorityReason(name, 'Ready');
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
    // The issuing CA first: a root that comes back alone makes another at once.
    await restore(issuing, root);
    await world.authorityReason(name, 'Ready');
    await world.ready(namespace, 'web');
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });

  test('and the status too, as after a restore of objects alone: what workloads trust is remembered by their Secrets', async () => {
    const { name, fingerprint, root, issuing } = await scene('status');
    await world.operator.stop();
    await lose(root, issuing);
    await world.send('PATCH', certificateAuthorityKind.path(undefined, name, 'status'), { status: null });
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
    await waitFor('the authority to be unable', async () => (await world.authority(name)).status.issuing !== undefined);
    await world.restartOperator();
    await world.patchAuthority(name, { metadata: { annotations: { touched: 'yes' } } });
    await world.restartOperator();
    expect((await world.authorityReason(name, 'KeyMissing')).message).toContain(fingerprint);
    expect(await names(name)).toEqual([]);
  });

  test('and accepted: a new root is made, and every certificate is issued anew under it', async () => {
    const { name, namespace, fingerprint, root, issuing } = await scene('accepted');
    const before = await world.secret(namespace, 'web', { authority: name });
    await lose(root, issuing);
    await world.authorityReason(name, 'KeyMissing');
    // Another fingerprint accepts nothing.
    const accept = (value: string) =>
      world.patchAuthority(name, { metadata: { annotations: { 'mtls-operator.io/replace-missing-root': value } } });
    await accept('0'.repeat(64));
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual([]);
    await accept(fingerprint);
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
    const annotations = { 'mtls-operator.io/replace-missing-root': fingerprint };
    await world.patchAuthority(name, { metadata: { annotations } });
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
    await restore(broken);
    await world.startOperator();
    expect((await world.authorityReason(name, 'GenerationBroken')).message).toMatch(
      /"damaged-root-1".*restore|restore.*"damaged-root-1"/,
    );
    expect(await names(name)).toEqual(['damaged-root-1']);
    expect(await world.secretObject(namespace, 'web')).toEqual(before);
  });
});
