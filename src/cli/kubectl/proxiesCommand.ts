/** `kubectl mtls proxies`: reads what is needed for it. */
import { mtlsPolicyKind, mtlsRolloutKind, SIDECAR_SECRET_PREFIX, workloadCertificateKind } from '../../api/index.ts';
import { type Connection, resourcePath, systemClock } from '../../kube/index.ts';
import { CliError } from '../end.ts';
import { readCertificate } from './certificateStatus.ts';
import type { ProxiesOptions } from './flags.ts';
import { deploymentSelector, readDeployment } from './operatorDeployment.ts';
import { listProxies, type ProxyList } from './proxies.ts';
import type { Reader, Reading } from './reader.ts';
import { DEPLOYMENTS, ownResource, PODS } from './resources.ts';
import { readPolicyTrouble, readRollout } from './rolloutRecord.ts';
import { type CheckedPod, readPod } from './sidecarPod.ts';

/** @throws CliError */
export async function gatherProxies(
  reader: Reader,
  connection: Connection,
  options: ProxiesOptions,
): Promise<ProxyList> {
  const { allNamespaces, name, operatorNamespace } = options;
  const namespace = allNamespaces ? undefined : (options.namespace ?? connection.namespace ?? 'default');
  const [pods, rollouts, policies, certificates, injectedImage] = await Promise.all([
    namespace !== undefined && name !== undefined ? onePod(reader, namespace, name) : allPods(reader, namespace),
    reader.all({ resource: ownResource(mtlsRolloutKind), namespace }, readRollout),
    reader.all({ resource: ownResource(mtlsPolicyKind), namespace }, readPolicyTrouble),
    reader.all({ resource: ownResource(workloadCertificateKind), namespace }, readSidecarCertificate),
    readInjectedImage(reader, operatorNamespace),
  ]);
  return listProxies({
    pods,
    rollouts,
    policies,
    certificates,
    injectedImage,
    operatorNamespace,
    now: systemClock.now(),
  });
}

async function onePod(reader: Reader, namespace: string, name: string): Promise<readonly CheckedPod[]> {
  const found = readPod(await reader.get(resourcePath(PODS, namespace, name), `pod ${namespace}/${name}`));
  if (found === undefined) throw new CliError('refused', `pod ${namespace}/${name} has ended, and its sidecar with it`);
  if (found.sidecar !== undefined) return [found];
  throw new CliError(
    'refused',
    `pod ${namespace}/${name} has no sidecar: kubectl mtls check says which pods should have one, and why they have none`,
  );
}

async function allPods(reader: Reader, namespace: string | undefined): Promise<readonly CheckedPod[]> {
  const meshed = (object: unknown): CheckedPod | undefined => {
    const pod = readPod(object);
    return pod?.sidecar === undefined ? undefined : pod;
  };
  const found = await reader.all({ resource: PODS, namespace }, meshed);
  if ('value' in found) return found.value;
  throw new CliError('refused', `the pods may not be read: you lack the permission to ${found.missing}`);
}

/** Tens of thousands of others may be there. */
function readSidecarCertificate(object: unknown) {
  const found = readCertificate(object);
  return found?.name.startsWith(SIDECAR_SECRET_PREFIX) === true ? found : undefined;
}

async function readInjectedImage(reader: Reader, namespace: string): Promise<Reading<string | undefined>> {
  const found = await reader.all(
    { resource: DEPLOYMENTS, namespace, labelSelector: deploymentSelector },
    readDeployment,
  );
  if ('missing' in found) return found;
  return { value: found.value.find(({ component }) => component === 'proxy-api')?.flags.get('proxy-image') };
}
