/** `kubectl mtls check`: reads what is needed for it. */
import {
  certificateAuthorityKind,
  OPERATOR_LEASE,
  SIDECAR_SECRET_PREFIX,
  WEBHOOK_CONFIGURATION,
  workloadCertificateKind,
} from '../../api/index.ts';
import { property, stringAt, stringMap, systemClock } from '../../kube/index.ts';
import { decodeEndpointSlice, decodeMeshService } from '../../mesh/index.ts';
import { readCertificate } from './certificateStatus.ts';
import { absenceOf, type Injector } from './check/absence.ts';
import { webhooksIn } from './check/authority.ts';
import type { NamedObject, NamespaceFacts, PodFacts, WebhookService } from './check/facts.ts';
import { admissionNames, definitionNames } from './check/kinds.ts';
import { type CheckReport, checkInstallation, injectorOf } from './check.ts';
import type { CheckOptions } from './flags.ts';
import { deploymentSelector, readDeployment } from './operatorDeployment.ts';
import type { Reader, Reading } from './reader.ts';
import {
  admissionResource,
  DEFINITIONS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  LEASES,
  NAMESPACES,
  ownResource,
  PODS,
  SERVICES,
} from './resources.ts';
import { readPod } from './sidecarPod.ts';

/** @throws CliError */
export async function gatherCheck(reader: Reader, options: CheckOptions, version: string): Promise<CheckReport> {
  const { operatorNamespace } = options;
  const clusterScoped = true;
  const named = (resource: typeof PODS, names: readonly string[]): Promise<NamedObject[]> =>
    Promise.all(names.map(async (name) => ({ name, found: await reader.find({ resource, name, clusterScoped }) })));
  const [definitions, admissionPolicies, admissionBindings, deployments, lease, authority, webhooks, namespaces] =
    await Promise.all([
      named(DEFINITIONS, definitionNames),
      named(admissionResource('validatingadmissionpolicies'), admissionNames),
      named(admissionResource('validatingadmissionpolicybindings'), admissionNames),
      reader.all(
        { resource: DEPLOYMENTS, namespace: operatorNamespace, labelSelector: deploymentSelector },
        readDeployment,
      ),
      reader.find({ resource: LEASES, namespace: operatorNamespace, name: OPERATOR_LEASE }),
      reader.find({ resource: ownResource(certificateAuthorityKind), name: 'default', clusterScoped }),
      reader.find({
        resource: admissionResource('mutatingwebhookconfigurations'),
        name: WEBHOOK_CONFIGURATION,
        clusterScoped,
      }),
      reader.all({ resource: NAMESPACES, clusterScoped }, readNamespace),
    ]);
  const injector = injectorOf({ deployments, operatorNamespace, webhooks });
  const [certificates, pods, services, webhookService] = await Promise.all([
    reader.all({ resource: ownResource(workloadCertificateKind) }, (object) => {
      const found = readCertificate(object);
      // Tens of thousands of others may be there.
      const isOfMesh = found?.namespace === operatorNamespace || found?.name.startsWith(SIDECAR_SECRET_PREFIX);
      return isOfMesh === true ? found : undefined;
    }),
    reader.all({ resource: PODS }, podReader(namespaces, injector)),
    reader.all({ resource: SERVICES }, (object) => decodeMeshService(object).value),
    readWebhookService(reader, webhooks),
  ]);
  return checkInstallation({
    version,
    operatorNamespace,
    now: systemClock.now(),
    definitions,
    admissionPolicies,
    admissionBindings,
    deployments,
    lease,
    authority,
    webhooks,
    webhookService,
    certificates,
    namespaces,
    pods,
    services,
  });
}

function readNamespace(object: unknown): NamespaceFacts {
  const metadata = property(object, 'metadata');
  return {
    name: stringAt(metadata, 'name') ?? '',
    labels: stringMap(property(metadata, 'labels')),
    deleting: property(metadata, 'deletionTimestamp') !== undefined,
  };
}

/** What webhooks would do with a pod is judged here, since pods are not kept whole. */
function podReader(namespaces: Reading<readonly NamespaceFacts[]>, injector: Injector) {
  const byName = new Map('value' in namespaces ? namespaces.value.map((one) => [one.name, one]) : []);
  return (object: unknown): PodFacts | undefined => {
    const pod = readPod(object);
    if (pod === undefined) return undefined;
    const namespace = pod.sidecar === undefined ? byName.get(pod.namespace) : undefined;
    return { ...pod, absence: namespace && absenceOf(object, namespace, injector) };
  };
}

async function readWebhookService(reader: Reader, webhooks: Reading<unknown>): Promise<WebhookService | undefined> {
  const [service] = 'value' in webhooks ? webhooksIn(webhooks.value).flatMap((one) => one.service ?? []) : [];
  if (service === undefined) return undefined;
  const { name, namespace } = service;
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const [found, slices] = await Promise.all([
    reader.find({ resource: SERVICES, namespace, name }),
    reader.all({ resource: ENDPOINT_SLICES, namespace, labelSelector }, (object) => decodeEndpointSlice(object)?.value),
  ]);
  return {
    namespace,
    name,
    exists: 'missing' in found ? found : { value: found.value !== undefined },
    endpoints:
      'missing' in slices
        ? slices
        : { value: slices.value.flatMap(({ endpoints }) => endpoints.filter(({ ready }) => ready)).length },
  };
}
