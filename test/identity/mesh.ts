/** An operator with sidecars switched on, and pods that have one as far as the API server knows: there is no node. */
import type { WorkloadCertificate } from '../../src/api/index.ts';
import { inventoryRules, meshClusterRules, meshRules, rolloutRules } from '../../src/api/rbac.ts';
import { identitySecretName } from '../../src/inject/index.ts';
import { World, waitFor } from '../certificate/world.ts';
import { grantToOperator } from '../support/operator.ts';
import type { CheckedSecret } from '../support/secret.ts';

export const PROXY_API = 'mtls-operator-proxy-api';

/** With the permissions for sidecars and those that every operator has, and no others. */
export async function startMeshWorld(flags: readonly string[] = []): Promise<World> {
  return await World.start(['--create-default-authority', '--mesh', ...flags], async (cluster) => {
    await grantToOperator(cluster, 'mesh', [...inventoryRules, ...meshRules, ...meshClusterRules, ...rolloutRules]);
  });
}

const base = (namespace: string, plural: string): string => `/api/v1/namespaces/${namespace}/${plural}`;

/** A pod of the account, which is made where there is none. */
export async function startPod(
  world: World,
  namespace: string,
  name: string,
  account: string,
  options: { readonly sidecar?: boolean; readonly metadata?: object } = {},
): Promise<void> {
  const { metadata = {}, sidecar = true } = options;
  if ((await world.find(`${base(namespace, 'serviceaccounts')}/${account}`)) === undefined)
    await world.send('POST', base(namespace, 'serviceaccounts'), { metadata: { name: account } });
  const image = 'registry.invalid/none';
  await world.send('POST', base(namespace, 'pods'), {
    metadata: { name, ...metadata },
    spec: {
      serviceAccountName: account,
      containers: [{ name: 'main', image }],
      ...(sidecar ? { initContainers: [{ name: 'mtls-proxy', image, restartPolicy: 'Always' }] } : {}),
    },
  });
}

export async function endPod(world: World, namespace: string, name: string): Promise<void> {
  await world.send('DELETE', `${base(namespace, 'pods')}/${name}?gracePeriodSeconds=0`);
}

/** Waits for the Secret that kubelet would wait for. */
export async function identity(world: World, namespace: string, account: string): Promise<CheckedSecret> {
  const name = identitySecretName(account);
  return await world.secretWhen(namespace, name, 'to be there', () => true);
}

export async function findCertificate(
  world: World,
  namespace: string,
  name: string,
): Promise<WorkloadCertificate | undefined> {
  return await world.certificate(namespace, name).catch((error: unknown) => {
    if (String(error).includes(': 404 ')) return undefined;
    throw error;
  });
}

export async function goneFrom(world: World, namespace: string, name: string): Promise<void> {
  await waitFor(
    `WorkloadCertificate ${namespace}/${name} to be gone`,
    async () => (await findCertificate(world, namespace, name)) === undefined,
  );
}
