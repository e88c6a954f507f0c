import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorAccount } from '../../src/api/rbac.ts';
import type { Cluster, KubectlOptions, User } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { startClusterWithKinds } from './cluster.ts';

let cluster: Cluster;
let operator: KubectlOptions;

/** May create and change WorkloadCertificates in namespace shop and do nothing else. */
const creator: KubectlOptions = { as: { name: 'creator' } };
/** The same, and impersonate the service account `web`. */
const trusted: KubectlOptions = { as: { name: 'trusted' } };
const userRoles = { admin: { name: 'ann' }, edit: { name: 'ed' }, view: { name: 'vi' } } satisfies Record<string, User>;

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const denied =
  /may not have the identity of the service account web: .*needs permission to impersonate that service account/;

const certificate = (name: string, spec: object): object => ({
  apiVersion: 'mtls-operator.io/v1alpha1',
  kind: 'WorkloadCertificate',
  metadata: { name, namespace: 'shop' },
  spec: { secretName: name, dnsNames: ['web.shop.svc'], ...spec },
});

const put = (verb: 'create' | 'replace', object: object, as: KubectlOptions): Promise<string> =>
  cluster.kubectl([verb, '-f', '-'], { ...as, input: JSON.stringify(object) });

async function may(as: KubectlOptions, verb: string, resource: string, ...where: string[]): Promise<boolean> {
  const answer = cluster.kubectl(['auth', 'can-i', verb, resource, ...where], as);
  // kubectl ends with 1 for "no".
  return answer.then(
    (text) => text.trim() === 'yes',
    () => false,
  );
}

beforeAll(async () => {
  cluster = await startClusterWithKinds();
  operator = { kubeconfig: await cluster.kubeconfigForServiceAccount(operatorAccount) };
  const grant = async (name: string, subject: string, ...rule: string[]): Promise<void> => {
    await cluster.kubectl(['create', 'role', name, '-n', 'shop', ...rule]);
    await cluster.kubectl(['create', 'rolebinding', name, '-n', 'shop', `--role=${name}`, subject]);
  };
  const writing = ['--verb=create,get,update', '--resource=workloadcertificates.mtls-operator.io'];
  await grant('creating', '--user=creator', ...writing);
  await grant('trusted', '--user=trusted', ...writing);
  await grant(
    'impersonating',
    '--user=trusted',
    '--verb=impersonate',
    '--resource=serviceaccounts',
    '--resource-name=web',
  );
  // More than the operator has, so that its exemption shows.
  const account = `--serviceaccount=${operatorAccount.namespace}:${operatorAccount.name}`;
  await grant('operating', account, ...writing);
  for (const [role, { name }] of Object.entries(userRoles)) {
    await cluster.kubectl(['create', 'rolebinding', role, '-n', 'shop', `--clusterrole=${role}`, `--user=${name}`]);
  }
  // The API server learns of roles and policies by watching, and the controller manager aggregates roles in its own time.
  await waitFor('the policy to be enforced', async () => {
    const refused = put('create', certificate('probe', { serviceAccountName: 'web' }), creator);
    return refused
      .then(() => cluster.kubectl(['delete', 'wcert', '-n', 'shop', 'probe']).then(() => false))
      .catch((error) => denied.test(String(error)));
  });
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.view }, 'watch', 'wcert', '-n', 'shop'));
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.edit }, 'create', 'wcert', '-n', 'shop'));
  await waitFor('the roles to be aggregated', () => may({ as: userRoles.admin }, 'create', 'wcert', '-n', 'shop'));
});

afterAll(() => cluster?.stop());

describe('a user who may only create WorkloadCertificates', () => {
  test('gets one without a service account', async () => {
    await put('create', certificate('plain', {}), creator);
  });

  test('does not get the identity of a service account, and is told what to ask for', async () => {
    const refused = put('create', certificate('identity', { serviceAccountName: 'web' }), creator);
    await expect(refused).rejects.toThrow(denied);
    await expect(refused).rejects.toThrow('creator may not have');
    await expect(refused).rejects.toThrow('ask for the verb "impersonate" on serviceaccounts in this namespace');
  });

  test('does not get it by a change', async () => {
    await put('create', certificate('changed', {}), creator);
    await expect(put('replace', certificate('changed', { serviceAccountName: 'web' }), creator)).rejects.toThrow(
      denied,
    );
  });

  test('does not get it by sending the key of another’s identity elsewhere', async () => {
    await put('create', certificate('others', { serviceAccountName: 'web' }), {});
    const elsewhere = [
      { secretName: 'mine' },
      { authorityRef: { name: 'mine' } },
      { secretTemplate: { annotations: { 'replicator.example/to': 'mine' } } },
    ];
    for (const spec of elsewhere) {
      await expect(
        put('replace', certificate('others', { serviceAccountName: 'web', ...spec }), creator),
      ).rejects.toThrow(denied);
    }
  });

  test('may change what does not concern the identity, and take it away', async () => {
    await put('create', certificate('kept', { serviceAccountName: 'web' }), {});
    await put('replace', certificate('kept', { serviceAccountName: 'web', duration: '12h' }), creator);
    await put('replace', certificate('kept', {}), creator);
  });
});

describe('a user who may impersonate one service account', () => {
  test('gets its identity', async () => {
    await put('create', certificate('trusted', { serviceAccountName: 'web' }), trusted);
    await put('replace', certificate('trusted', { serviceAccountName: 'web', secretName: 'elsewhere' }), trusted);
  });

  test('does not get another’s', async () => {
    const other = certificate('trusted', { serviceAccountName: 'cart' });
    await expect(put('replace', other, trusted)).rejects.toThrow(
      'may not have the identity of the service account cart',
    );
  });
});

describe('restarts', () => {
  const web = { kind: 'Deployment', name: 'web' };
  const refused = /may not restart the Deployment web: .*needs permission to restart them/;
  const restarting = (name: string, ...restart: readonly object[]) => certificate(name, { restart });

  beforeAll(async () => {
    await cluster.kubectl([
      ...['create', 'role', 'restarting', '-n', 'shop', '--verb=patch'],
      ...['--resource=deployments.apps', '--resource-name=web'],
    ]);
    await cluster.kubectl(['create', 'rolebinding', 'restarting', '-n', 'shop', '--role=restarting', '--user=trusted']);
    await waitFor('the policy to be enforced', () =>
      put('create', restarting('probe', web), creator)
        .then(() => cluster.kubectl(['delete', 'wcert', '-n', 'shop', 'probe']).then(() => false))
        .catch((error) => refused.test(String(error))),
    );
    await waitFor('the role to be known', () => may(trusted, 'patch', 'deployments.apps/web', '-n', 'shop'));
  });

  test('are not for a user who may only create WorkloadCertificates, and who is told what to ask for', async () => {
    const created = put('create', restarting('restarting', web), creator);
    await expect(created).rejects.toThrow(refused);
    await expect(created).rejects.toThrow('ask for the verb "patch" on these workloads in this namespace');
  });

  test('are not had by a change', async () => {
    await put('create', certificate('restarting-later', {}), creator);
    await expect(put('replace', restarting('restarting-later', web), creator)).rejects.toThrow(refused);
  });

  test('are for a user who may patch the workload, and of that one alone', async () => {
    await put('create', restarting('restarting-web', web), trusted);
    const others = [
      { kind: 'Deployment', name: 'cart' },
      { kind: 'StatefulSet', name: 'web' },
      { kind: 'DaemonSet', name: 'web' },
    ];
    for (const [index, other] of others.entries()) {
      const both = restarting(`restarting-${index}`, web, other);
      await expect(put('create', both, trusted)).rejects.toThrow(`may not restart the ${other.kind} ${other.name}`);
    }
  });

  test('are asked about for each of as many workloads as there may be', async () => {
    const many = Array.from({ length: 8 }, (_, index) => ({ kind: 'Deployment', name: `web-${index}` }));
    await put('create', restarting('restarting-many', ...many), { as: userRoles.edit });
    const lastUnknown = [...many.slice(0, 7), { kind: 'Deployment', name: 'cart' }];
    await cluster.kubectl([
      ...['create', 'role', 'restarting-many', '-n', 'shop', '--verb=patch', '--resource=deployments.apps'],
      ...many.map(({ name }) => `--resource-name=${name}`),
    ]);
    const bind = ['create', 'rolebinding', 'restarting-many', '-n', 'shop', '--role=restarting-many', '--user=trusted'];
    await cluster.kubectl(bind);
    await waitFor('the role to be known', () => may(trusted, 'patch', 'deployments.apps/web-7', '-n', 'shop'));
    await put('create', restarting('restarting-all', ...many), trusted);
    await expect(put('create', restarting('restarting-last', ...lastUnknown), trusted)).rejects.toThrow(
      'may not restart the Deployment cart',
    );
  });

  test('are not had by making another’s certificate anew, but may be taken away', async () => {
    await put('create', restarting('restarted', web), {});
    const renewed = {
      ...restarting('restarted', web),
      metadata: {
        name: 'restarted',
        namespace: 'shop',
        annotations: { 'mtls-operator.io/renew-at': '2030-01-01T00:00:00Z' },
      },
    };
    await expect(put('replace', renewed, creator)).rejects.toThrow(refused);
    const changed = certificate('restarted', { restart: [web], duration: '12h' });
    await expect(put('replace', changed, creator)).rejects.toThrow(refused);
    const labelled = {
      ...restarting('restarted', web),
      metadata: { name: 'restarted', namespace: 'shop', labels: { team: 'shop' } },
    };
    await put('replace', labelled, creator);
    await put('replace', certificate('restarted', {}), creator);
  });
});

describe('the roles of every cluster', () => {
  test.each(['admin', 'edit'] as const)(
    '%s may do everything with WorkloadCertificates, and gets identities',
    async (role) => {
      const as = { as: userRoles[role] };
      for (const verb of verbs) expect([verb, await may(as, verb, 'wcert', '-n', 'shop')]).toEqual([verb, true]);
      await put('create', certificate(`by-${role}`, { serviceAccountName: 'web' }), as);
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
