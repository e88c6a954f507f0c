/** Tests of the admission policies: who may ask for which identity, and have which workload restarted. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Cluster, KubectlOptions } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { certificate, Users, writing } from './users.ts';

/** May create and change WorkloadCertificates in namespace shop and do nothing else. */
const creator: KubectlOptions = { as: { name: 'creator' } };
/** The same, and impersonate the service account `web`. */
const trusted: KubectlOptions = { as: { name: 'trusted' } };

const denied =
  /may not have the identity of the service account web: .*needs permission to impersonate that service account/;

/** @param cluster has the kinds with their policies, and a namespace shop. */
export function testAdmission(cluster: () => Cluster): void {
  const users = new Users(cluster);
  const put = users.put.bind(users);
  const may = users.may.bind(users);

  beforeAll(async () => {
    await users.grant('creating', '--user=creator', ...writing);
    await users.grant('trusted', '--user=trusted', ...writing);
    const impersonating = ['--verb=impersonate', '--resource=serviceaccounts', '--resource-name=web'];
    await users.grant('impersonating', '--user=trusted', ...impersonating);
    // The API server learns of roles and policies by watching.
    await waitFor('the policy to be enforced', async () => {
      const refused = put('create', certificate('probe', { serviceAccountName: 'web' }), creator);
      return refused
        .then(() =>
          cluster()
            .kubectl(['delete', 'wcert', '-n', 'shop', 'probe'])
            .then(() => false),
        )
        .catch((error) => denied.test(String(error)));
    });
  });

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
      await cluster().kubectl([
        ...['create', 'role', 'restarting', '-n', 'shop', '--verb=patch'],
        ...['--resource=deployments.apps', '--resource-name=web'],
      ]);
      await cluster().kubectl([
        'create',
        'rolebinding',
        'restarting',
        '-n',
        'shop',
        '--role=restarting',
        '--user=trusted',
      ]);
      await waitFor('the policy to be enforced', () =>
        put('create', restarting('probe', web), creator)
          .then(() =>
            cluster()
              .kubectl(['delete', 'wcert', '-n', 'shop', 'probe'])
              .then(() => false),
          )
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
      const lastUnknown = [...many.slice(0, 7), { kind: 'Deployment', name: 'cart' }];
      await cluster().kubectl([
        ...['create', 'role', 'restarting-many', '-n', 'shop', '--verb=patch', '--resource=deployments.apps'],
        ...many.map(({ name }) => `--resource-name=${name}`),
      ]);
      const bind = [
        'create',
        'rolebinding',
        'restarting-many',
        '-n',
        'shop',
        '--role=restarting-many',
        '--user=trusted',
      ];
      await cluster().kubectl(bind);
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
}
