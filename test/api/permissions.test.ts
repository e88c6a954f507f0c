import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorAccount } from '../../src/api/rbac.ts';
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
  test('is exempt from the policy', async () => {
    await put('create', certificate('by-operator', { serviceAccountName: 'web' }), operator);
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
    ['delete', 'wcert'],
    ['patch', 'wcert'],
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
