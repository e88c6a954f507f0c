/** The roots by which the API server verifies the webhook, kept by an operator with the permissions for it and no others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { meshClusterRules, WEBHOOK_CONFIGURATION } from '../../src/api/rbac.ts';
import { webhookConfiguration } from '../../src/inject/index.ts';
import { OPERATOR_NAMESPACE, type World, waitFor } from '../certificate/world.ts';
import { PROXY_API, startMeshWorld } from './mesh.ts';

const COLLECTION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const path = (name: string): string => `${COLLECTION}/${name}`;

let world: World;

beforeAll(async () => {
  world = await startMeshWorld();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const schema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  webhooks: z.array(
    z.object({ name: z.string(), clientConfig: z.object({ caBundle: z.string().default('') }).loose() }).loose(),
  ),
});

const read = async (name = WEBHOOK_CONFIGURATION) => schema.parse(await world.find(path(name)));

/** As a chart would make it: it does not know the roots. */
function unfinished(name: string): object {
  const service = { namespace: OPERATOR_NAMESPACE, name: PROXY_API, path: '/inject', port: 443 };
  const options = { name, operatorNamespace: OPERATOR_NAMESPACE, everyNamespace: true };
  return webhookConfiguration({ ...options, clientConfig: { caBundle: '', service } });
}

/** Roots of which peers know proxy-api. */
async function roots(): Promise<string> {
  const { text } = await world.secretWhen(OPERATOR_NAMESPACE, PROXY_API, 'to be there', () => true);
  return text('ca.crt');
}

async function written(what: string, bundle: string): Promise<z.output<typeof schema>> {
  const caBundle = Buffer.from(bundle).toString('base64');
  return await waitFor(what, async () => {
    const found = await read();
    return found.webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle) && found;
  });
}

describe('the roots in the webhooks', () => {
  test('are of no concern where there is no configuration', async () => {
    await roots();
    expect(world.operator.log.filter(({ level, controller }) => controller === 'webhook' || level === 'error')).toEqual(
      [],
    );
    expect((await world.requestsSince(0)).filter(({ resource }) => resource.startsWith('mutating'))).toMatchObject([
      { verb: 'list', code: 200 },
    ]);
  });

  test('are those of the authority in each webhook, as soon as it is there, and nothing else of it is touched', async () => {
    const before = unfinished(WEBHOOK_CONFIGURATION);
    await world.send('POST', COLLECTION, unfinished('somebody-elses'));
    await world.send('POST', COLLECTION, before);
    const { webhooks } = await written('the roots', await roots());
    expect(webhooks).toHaveLength(3);
    const theirs = await read('somebody-elses');
    expect(theirs.webhooks.every(({ clientConfig }) => clientConfig.caBundle === '')).toBe(true);
    const without = ({ webhooks: all }: z.output<typeof schema>) =>
      all.map(({ clientConfig: { caBundle: _, ...clientConfig }, ...webhook }) => ({ ...webhook, clientConfig }));
    expect(without(await read())).toEqual(without(theirs));
  });

  test('are put back where somebody edits one of them, with one write', async () => {
    const { webhooks } = await read();
    const [first, second] = webhooks;
    expect(first?.name).not.toBe(second?.name);
    const mark = await world.auditMark();
    const clientConfig = {
      caBundle: Buffer.from(await roots())
        .subarray(0, -1)
        .toString('base64'),
    };
    await world.cluster.kubectl([
      ...['patch', 'mutatingwebhookconfiguration', WEBHOOK_CONFIGURATION, '--type=strategic', '-p'],
      JSON.stringify({ webhooks: [{ name: second?.name, clientConfig }] }),
    ]);
    await written('the roots to be back', await roots());
    const writes = (await world.writesSince(mark)).filter(({ resource }) => resource.startsWith('mutating'));
    expect(writes).toMatchObject([{ verb: 'patch', name: WEBHOOK_CONFIGURATION, code: 200 }]);
  });

  test('are those of a new root when the authority gets one', async () => {
    const before = await roots();
    const generations = await world.generations('default');
    for (const { metadata } of generations) await world.removeSecret(OPERATOR_NAMESPACE, metadata.name);
    const fingerprints = generations.map(({ metadata }) => metadata.annotations['mtls-operator.io/fingerprint'] ?? '');
    await world.authorityReason('default', 'KeyMissing');
    await world.patchAuthority('default', {
      metadata: { annotations: { 'mtls-operator.io/replace-missing': fingerprints.join(',') } },
    });
    await world.secretWhen(
      OPERATOR_NAMESPACE,
      PROXY_API,
      'to have other roots',
      ({ text }) => text('ca.crt') !== before,
    );
    await written('the new roots', await roots());
  });

  test('are kept by a new leader, which writes nothing where they are right', async () => {
    const { metadata } = await read();
    const mark = await world.auditMark();
    await world.restartOperator();
    await world.removeSecret(OPERATOR_NAMESPACE, PROXY_API);
    await roots();
    expect((await read()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    const writes = (await world.writesSince(mark)).filter(({ resource }) => resource.startsWith('mutating'));
    expect(writes).toEqual([]);
  });
});

test('each permission is used, and none is missing', async () => {
  // The watches end with the operator, and are then in the audit log.
  await world.operator.stop();
  const requests = await waitFor('the end of the watches in the audit log', async () => {
    const found = (await world.requestsSince(0)).filter(({ resource }) => resource.startsWith('mutating'));
    return found.some(({ verb }) => verb === 'watch') && found;
  });
  expect(requests.filter(({ code }) => code >= 400)).toEqual([]);
  const [rule] = meshClusterRules;
  expect(new Set(requests.map(({ verb }) => verb))).toEqual(new Set(rule?.rule.verbs));
});
