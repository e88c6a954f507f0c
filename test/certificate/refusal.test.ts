/** Writes to CA Secrets that somebody's admission policy refuses: said, and no reason to stop signing for as long as a CA is there that can. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorUser } from '../support/operator.ts';
import { DAY, postCa } from './caSecrets.ts';
import { inSeconds, OPERATOR_NAMESPACE, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start([]);
});

afterAll(() => world?.[Symbol.asyncDispose]());

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

interface Refused {
  readonly name: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** Of the Secret, in the operator's namespace. */
  readonly secretName: string;
}

/** From its return on, this write of the operator is denied. @returns what takes the policy away again. */
async function refuse({ name, operation, secretName }: Refused): Promise<() => Promise<void>> {
  const policies = `${ADMISSION}/validatingadmissionpolicies`;
  const bindings = `${ADMISSION}/validatingadmissionpolicybindings`;
  const rules = [{ apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'], operations: [operation] }];
  const subject = operation === 'CREATE' ? 'object' : 'oldObject';
  await world.send('POST', policies, {
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: rules },
      matchConditions: [
        // The probe below is the admin's.
        { name: 'which', expression: `${subject}.metadata.name in ["${secretName}", "probe-${name}"]` },
        {
          name: 'who',
          expression: `request.userInfo.username == "${operatorUser.name}" || ${subject}.metadata.name.startsWith("probe-")`,
        },
      ],
      validations: [{ expression: 'false', message: `${name} says no` }],
    },
  });
  await world.send('POST', bindings, {
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  });
  const secrets = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/secrets`;
  const probe = { metadata: { name: `probe-${name}` } };
  if (operation !== 'CREATE') await world.send('POST', secrets, probe);
  await waitFor('the policy to be enforced', async () => {
    const attempt = {
      CREATE: () => world.send('POST', `${secrets}?dryRun=All`, probe),
      UPDATE: () => world.send('PATCH', `${secrets}/probe-${name}?dryRun=All`, { data: { a: 'YQ==' } }),
      DELETE: () => world.send('DELETE', `${secrets}/probe-${name}?dryRun=All`),
    }[operation];
    return await attempt().then(
      () => false,
      (error: unknown) => String(error).includes('says no'),
    );
  });
  return async () => {
    await world.send('DELETE', `${bindings}/${name}`);
    await world.send('DELETE', `${policies}/${name}`);
  };
}

const names = async (authority: string) =>
  (await world.generations(authority)).map(({ metadata }) => metadata.name).sort();

/** Issued anew, and another one issued, by an operator that has known nothing before. */
async function goesOn(authority: string, namespace: string): Promise<void> {
  await world.restartOperator();
  await world.createSimple(namespace, 'late', { authorityRef: { name: authority } });
  await world.ready(namespace, 'late');
  await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });
  await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2, { authority });
  await world.secret(namespace, 'late', { authority });
}

async function withWeb(authority: string): Promise<string> {
  await world.createAuthority(authority, { trustDomain: 'refused.example', selfSigned: {} });
  const namespace = await world.namespace();
  await world.createSimple(namespace, 'web', { authorityRef: { name: authority } });
  await world.ready(namespace, 'web');
  return namespace;
}

describe('while the present issuing CA signs, certificates are issued and renewed, also after a restart, although the API server refuses', () => {
  test('the next issuing CA; that is said with the reason, and allowed it is made', async () => {
    const allow = await refuse({ name: 'no-next', operation: 'CREATE', secretName: 'next-issuing-2' });
    const root = await postCa(world, 'next', 1, [-300 * DAY, 3000 * DAY]);
    // Due for renewal for long, and good for another 50 days.
    await postCa(world, 'next', 1, [-300 * DAY, 50 * DAY], root);
    const namespace = await withWeb('next');
    await goesOn('next', namespace);
    const { status, message } = await world.authorityReason('next', 'GenerationRefused');
    expect(status).toBe('False');
    expect(message).toMatch(/"next-issuing-2".*no-next says no.*signed until/s);
    await world.event('default', 'next', 'GenerationRefused');
    await world.logged('no-next says no');
    await allow();
    await world.authorityReason('next', 'Ready');
    expect(await names('next')).toEqual(['next-issuing-1', 'next-issuing-2', 'next-root-1']);
  });

  test.each([
    { operation: 'UPDATE', life: [-200 * DAY, 100 * DAY], what: 'to mark a superseded one', left: 'kept' },
    { operation: 'DELETE', life: [-200 * DAY, -1 * DAY], what: 'to remove one that has ended', left: 'removed' },
  ] as const)('$what; that is said too, and allowed it is done', async ({ operation, life, left }) => {
    const name = `old-${operation.toLowerCase()}`;
    const allow = await refuse({ name: `no-${name}`, operation, secretName: `${name}-issuing-1` });
    const root = await postCa(world, name, 1, [-300 * DAY, 3000 * DAY]);
    await postCa(world, name, 1, life, root);
    await postCa(world, name, 2, [-60 * DAY, 700 * DAY], root);
    const namespace = await withWeb(name);
    await goesOn(name, namespace);
    const { message } = await waitFor('the refusal to be told', async () => {
      const ready = await world.authorityReason(name, 'Ready');
      return ready.message.includes('says no') ? ready : undefined;
    });
    expect(message).toContain(`"${name}-issuing-1"`);
    await world.logged(`no-${name} says no`);
    await allow();
    await world.restartOperator();
    await waitFor('it to be done', async () => {
      const old = (await world.generations(name)).find(({ metadata }) => metadata.name === `${name}-issuing-1`);
      return left === 'removed' ? old === undefined : old?.metadata.annotations['mtls-operator.io/phase'] === 'Retired';
    });
    await waitFor('nothing to be said of it any more', async () => {
      const ready = await world.authorityReason(name, 'Ready');
      return !ready.message.includes('says no');
    });
  });
});

test('a first CA that the API server refuses is told of by the authority and its certificates, signs nothing, and allowed it comes', async () => {
  const allow = await refuse({ name: 'no-first', operation: 'CREATE', secretName: 'first-issuing-1' });
  await world.createAuthority('first', { trustDomain: 'refused.example', selfSigned: {} });
  const namespace = await world.namespace();
  await world.createSimple(namespace, 'web', { authorityRef: { name: 'first' } });
  const { message } = await world.authorityReason('first', 'GenerationRefused');
  expect(message).toMatch(/"first-issuing-1".*no-first says no.*nothing can be signed/s);
  expect((await world.reason(namespace, 'web', 'Ready', 'AuthorityNotReady')).message).toContain('no-first says no');
  // A CA that exists in memory alone must not sign.
  expect(await world.findSecret(namespace, 'web')).toBeUndefined();
  await allow();
  await world.ready(namespace, 'web');
  await world.secret(namespace, 'web', { authority: 'first' });
});
