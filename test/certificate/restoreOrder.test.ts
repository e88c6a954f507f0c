/** A restore under a running operator, in orders that docs/backup.md allows, of an authority whose issuing CA has been renewed before. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthorityKind } from '../../src/api/index.ts';
import { caIn, DAY, postCa, restore } from './caSecrets.ts';
import { OPERATOR_NAMESPACE, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start([]);
});

afterAll(() => world?.[Symbol.asyncDispose]());

const spec = { trustDomain: 'restore.example', selfSigned: {} };

const names = async (authority: string) =>
  (await world.generations(authority)).map(({ metadata }) => metadata.name).sort();

const signsWith = (authority: string, secretName: string) =>
  waitFor(
    `${secretName} to sign`,
    async () => (await world.authority(authority)).status.issuing?.secretName === secretName,
  );

const remembered = async (authority: string) =>
  (await world.authority(authority)).status.generations?.map(({ secretName }) => secretName).sort();

/** With the operator stopped: what a restore of the authority alone leaves behind. */
async function loseAllButTheAuthority(name: string) {
  const secrets = await world.generations(name);
  for (const { metadata } of secrets) await world.removeSecret(OPERATOR_NAMESPACE, metadata.name);
  await world.send('PATCH', certificateAuthorityKind.path(undefined, name, 'status'), { status: null });
  return (number: number, role: 'root' | 'issuing') =>
    secrets.filter(({ metadata }) => metadata.name === `${name}-${role}-${number}`);
}

describe('an authority that is restored before its Secrets', () => {
  test('makes no issuing CA while the newest is missing, though an older one that is due for renewal signs', async () => {
    const name = 'aged';
    const root = await postCa(world, name, 1, [-400 * DAY, 3000 * DAY]);
    await postCa(world, name, 1, [-300 * DAY, 60 * DAY], root);
    await world.createAuthority(name, spec);
    await signsWith(name, 'aged-issuing-2');
    await world.operator.stop();
    const backup = await loseAllButTheAuthority(name);
    await world.startOperator();
    await world.authorityReason(name, 'KeyMissing');
    await restore(world, ...backup(1, 'root'), ...backup(1, 'issuing'));
    await signsWith(name, 'aged-issuing-1');
    const { message } = await world.authorityReason(name, 'KeyMissing');
    expect(message).toContain('"aged-issuing-2"');
    await world.restartOperator();
    await world.authorityReason(name, 'KeyMissing');
    expect(await names(name)).toEqual(['aged-issuing-1', 'aged-root-1']);
    await restore(world, ...backup(2, 'issuing'));
    await world.authorityReason(name, 'Ready');
    await signsWith(name, 'aged-issuing-2');
    expect(await names(name)).toEqual(['aged-issuing-1', 'aged-issuing-2', 'aged-root-1']);
  });

  test('keeps every certificate whose leaf Secret comes before it, also those of a superseded CA that comes last or never', async () => {
    const name = 'renewed';
    const asked = { authorityRef: { name } };
    await world.createAuthority(name, spec);
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'old', asked);
    await world.ready(namespace, 'old');
    await world.authorityReason(name, 'Ready');
    const root = caIn(await world.secretObject(OPERATOR_NAMESPACE, `${name}-root-1`));
    await postCa(world, name, 2, [-60, 365 * DAY], root);
    await signsWith(name, 'renewed-issuing-2');
    await world.createSimple(namespace, 'new', asked);
    await world.ready(namespace, 'new');
    await world.operator.stop();
    const leaves = [await world.secretObject(namespace, 'old'), await world.secretObject(namespace, 'new')];
    for (const leaf of ['old', 'new']) {
      await world.remove(namespace, leaf);
      await world.removeSecret(namespace, leaf);
    }
    const backup = await loseAllButTheAuthority(name);
    await world.startOperator();
    await world.authorityReason(name, 'KeyMissing');
    await restore(world, ...backup(1, 'root'), ...backup(2, 'issuing'));
    await world.authorityReason(name, 'Ready');
    await signsWith(name, 'renewed-issuing-2');
    expect(await remembered(name)).toEqual(['renewed-issuing-1', 'renewed-issuing-2', 'renewed-root-1']);

    await restore(world, ...leaves);
    for (const leaf of ['old', 'new']) await world.createSimple(namespace, leaf, asked);
    for (const leaf of ['old', 'new']) await world.ready(namespace, leaf);
    const asBefore = async () => {
      for (const { metadata, data } of leaves)
        expect((await world.secretObject(namespace, metadata.name)).data).toEqual(data);
    };
    await asBefore();
    // Certificates are served before the authority's status is written.
    await waitFor('the loss to be told of, now that leaves hang on it', async () =>
      (await world.authorityReason(name, 'Ready')).message.includes('"renewed-issuing-1"'),
    );
    await world.restartOperator();
    await world.ready(namespace, 'old');
    await asBefore();

    await restore(world, ...backup(1, 'issuing'));
    await waitFor(
      'nothing to be missed any more',
      async () => !(await world.authorityReason(name, 'Ready')).message.includes('"renewed-issuing-1"'),
    );
    await world.ready(namespace, 'old');
    await asBefore();
    expect(await names(name)).toEqual(['renewed-issuing-1', 'renewed-issuing-2', 'renewed-root-1']);
  });
});
