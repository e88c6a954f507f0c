import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labels, managers } from '../../src/api/index.ts';
import { operatorAccount } from '../../src/api/rbac.ts';
import { identitySecretName } from '../../src/inject/index.ts';
import type { Cluster, KubectlOptions, User } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { testAdmission } from './admission.ts';
import { startClusterWithKinds } from './cluster.ts';
import { certificate, Users, writing } from './users.ts';

let cluster: Cluster;
let operator: KubectlOptions;

const userRoles = { admin: { name: 'ann' }, edit: { name: 'ed' }, view: { name: 'vi' } } satisfies Record<string, User>;

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const users = new Users(() => cluster);
const put = users.put.bind(users);
const may = users.may.bind(users);

beforeAll(async () => {
  cluster = await startClusterWithKinds();
  operator = { kubeconfig: await cluster.kubeconfigForServiceAccount(operatorAccount) };
  // More than the operator has, so that its exemption shows.
  const account = `--serviceaccount=${operatorAccount.namespace}:${operatorAccount.name}`;
  await users.grant('operating', account, ...writing);
  for (const [role, { name }] of Object.entries(userRoles)) {
    await cluster.kubectl(['create', 'rolebinding', role, '-n', 'shop', `--clusterrole=${role}`, `--user=${name}`]);
  }
  // The controller manager aggregates roles in its own time.
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.view }, 'watch', 'wcert', '-n', 'shop'));
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.edit }, 'create', 'wcert', '-n', 'shop'));
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.admin }, 'create', 'wcert', '-n', 'shop'));
});

afterAll(() => cluster?.stop());

testAdmission(() => cluster);

describe('the roles of every cluster', () => {
  test.each(['admin', 'edit'] as const)(
    '%s may do everything with WorkloadCertificates, gets identities, and has workloads restarted',
    async (role) => {
      const as = { as: userRoles[role] };
      for (const verb of verbs) expect([verb, await may(as, verb, 'wcert', '-n', 'shop')]).toEqual([verb, true]);
      const restart = [{ kind: 'Deployment', name: 'web' }];
      await put('create', certificate(`by-${role}`, { serviceAccountName: 'web', restart }), as);
      expect(await may(as, 'patch', 'wcert', '--subresource=status', '-n', 'shop')).toBe(false);
      expect(await may(as, 'create', 'mca')).toBe(false);
    },
  );

  test.each(['admin', 'edit'] as const)(
    '%s may do everything with MTLSPolicies, and only read MTLSRollouts',
    async (role) => {
      const as = { as: userRoles[role] };
      for (const verb of verbs) expect([verb, await may(as, verb, 'mtlsp', '-n', 'shop')]).toEqual([verb, true]);
      expect(await may(as, 'patch', 'mtlsp', '--subresource=status', '-n', 'shop')).toBe(false);
      expect(await allowed(as, 'mtlsr')).toEqual(['get', 'list', 'watch']);
    },
  );

  test.each(['wcert', 'mtlsp', 'mtlsr'])('view may read %s and no more', async (resource) => {
    expect(await allowed({ as: userRoles.view }, resource)).toEqual(['get', 'list', 'watch']);
  });

  async function allowed(as: KubectlOptions, resource: string): Promise<string[]> {
    const found: string[] = [];
    for (const verb of verbs) if (await may(as, verb, resource, '-n', 'shop')) found.push(verb);
    return found;
  }
});

describe('the operator', () => {
  /** What the operator makes for the sidecars of an account. */
  const forSidecars = (account: string, spec: object = {}, name = identitySecretName(account)) => ({
    ...certificate(name, {}),
    metadata: { name, namespace: 'shop', labels: { [labels.managedBy]: managers.operator } },
    spec: { secretName: name, serviceAccountName: account, outputs: [{ type: 'EnvoySDS' }], ...spec },
  });

  test.each([
    ['an account', 'web'],
    ['an account with the longest name', 'a'.repeat(253)],
    ['an account whose certificate has the longest name', 'b'.repeat(242)],
    ['an account whose certificate has a name that is one too long', 'c'.repeat(243)],
  ])('may make what sidecars of %s need', async (_, account) => {
    const object = forSidecars(account);
    await put('create', object, operator);
    await put('replace', { ...object, spec: { ...object.spec, duration: '12h' } }, operator);
  });

  const other = 'cart';
  test.each([
    ['under another name', forSidecars(other, {}, 'cart')],
    ['under the name for another account', forSidecars(other, {}, identitySecretName('stolen'))],
    [
      'under a name of which only the beginning is right',
      forSidecars(other, {}, `${identitySecretName(other)}-0123456789`),
    ],
    ['into another Secret', forSidecars(other, { secretName: 'elsewhere' })],
    ['in a Secret that others copy', forSidecars(other, { secretTemplate: { annotations: { 'a.example/to': 'b' } } })],
    ['by another authority', forSidecars(other, { authorityRef: { name: 'corporate' } })],
    [
      'under a long name that is not the one for the account',
      forSidecars('d'.repeat(250), {}, `mtls-proxy-${'e'.repeat(231)}-0123456789`),
    ],
  ])('may not have the identity of an account %s', async (_, object) => {
    await expect(put('create', object, operator)).rejects.toThrow('may not have the identity of the service account');
  });

  test('may make any certificate in its own namespace, where it has the keys of the CAs', async () => {
    const role = ['create', 'role', 'operating', '-n', operatorAccount.namespace, ...writing];
    await cluster.kubectl(role);
    await cluster.kubectl([
      ...['create', 'rolebinding', 'operating', '-n', operatorAccount.namespace, '--role=operating'],
      `--serviceaccount=${operatorAccount.namespace}:${operatorAccount.name}`,
    ]);
    const metadata = { name: 'proxy-api', namespace: operatorAccount.namespace };
    await put('create', { ...certificate('proxy-api', { serviceAccountName: 'proxy-api' }), metadata }, operator);
  });

  test('is the only one who may: others get no identity by the form of what they write', async () => {
    const writer = { as: { name: 'writer' } };
    await users.grant('writer', '--user=writer', ...writing);
    await waitFor('the role to be known', () => may(writer, 'create', 'wcert', '-n', 'shop'));
    const refused = put('create', forSidecars('stolen'), writer);
    await expect(refused).rejects.toThrow('writer may not have the identity of the service account stolen');
    await put('create', certificate(identitySecretName('stolen'), {}), writer);
    await expect(put('replace', forSidecars('stolen'), writer)).rejects.toThrow('writer may not have the identity');
    // Nor by an edit of the operator's own.
    const elsewhere = forSidecars('web', { secretName: 'mine' });
    await expect(put('replace', elsewhere, writer)).rejects.toThrow('writer may not have the identity');
  });

  test.each([
    ['list', 'wcert', []],
    ['patch', 'wcert', ['--subresource=status']],
    ['update', 'wcert', ['--subresource=finalizers']],
    ['create', 'mca', []],
    ['patch', 'mca', ['--subresource=status']],
    ['watch', 'namespaces', []],
    ['update', 'secrets', []],
    ['create', 'events.events.k8s.io', []],
  ])('may %s %s %j everywhere', async (verb, resource, more) => {
    expect(await may(operator, verb, resource, '-A', ...more)).toBe(true);
  });

  test.each([
    ['update', 'leases.coordination.k8s.io'],
    ['delete', 'secrets'],
  ])('may %s %s in its own namespace only', async (verb, resource) => {
    expect(await may(operator, verb, resource, '-n', operatorAccount.namespace)).toBe(true);
    expect(await may(operator, verb, resource, '-n', 'kube-system')).toBe(false);
  });

  test.each([
    ['patch', 'secrets'],
    // With --mesh only.
    ['create', 'wcert'],
    ['delete', 'wcert'],
    ['patch', 'wcert'],
    ['list', 'mutatingwebhookconfigurations.admissionregistration.k8s.io'],
    ['delete', 'mca'],
    ['patch', 'mtlsp'],
    ['delete', 'mtlsr'],
    ['get', 'pods'],
    // With the chart's restart.enabled only.
    ['get', 'deployments.apps'],
    ['patch', 'deployments.apps'],
    ['impersonate', 'serviceaccounts'],
    ['create', 'serviceaccounts/token'],
  ])('may not %s %s', async (verb, resource) => {
    expect(await may(operator, verb, resource, '-n', 'kube-system')).toBe(false);
  });
});
