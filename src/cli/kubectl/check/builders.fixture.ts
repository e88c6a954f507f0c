/** An installation with nothing wrong with it, for tests that break one thing at a time. */
import { serviceAccountPolicy, serviceAccountPolicyBinding } from '../../../api/admission.ts';
import { customResourceDefinition, kindDefinitions } from '../../../api/crd.ts';
import { restartPolicy, restartPolicyBinding } from '../../../api/restartAdmission.ts';
import { webhookConfiguration } from '../../../inject/index.ts';
import { decodeMeshService, type MeshService } from '../../../mesh/index.ts';
import { generateKeyPair, issueCa, type ParsedCertificate } from '../../../pki/index.ts';
import type { CertificateStatus } from '../certificateStatus.ts';
import { type OperatorDeployment, readDeployment } from '../operatorDeployment.ts';
import { readPod } from '../sidecarPod.ts';
import type { CheckFacts, NamespaceFacts, PodFacts } from './facts.ts';

export const NOW = Date.UTC(2031, 0, 1);
export const OPERATOR = 'mtls-system';
export const IMAGE = 'envoy:v2';
const SERVICE = 'mtls-operator-proxy-api';
const HOUR = 3_600_000;

export const isoIn = (hours: number): string => new Date(NOW + hours * HOUR).toISOString();

export async function makeRoot(name: string, { from = -24, to = 24 } = {}): Promise<ParsedCertificate> {
  const key = await generateKeyPair({ algorithm: 'ECDSA', size: 256 });
  return issueCa({
    subject: { commonName: name },
    key,
    notBefore: new Date(NOW + from * HOUR),
    notAfter: new Date(NOW + to * HOUR),
  });
}

/** What the API server adds, so that comparing goes by what we wrote. */
export function definition(index: number, change: (object: Definition) => void = () => undefined): Definition {
  const [one] = kindDefinitions.slice(index);
  if (one === undefined) throw new Error('no such kind');
  const object = JSON.parse(JSON.stringify(customResourceDefinition(one))) as Definition;
  object.status = { conditions: [{ type: 'Established', status: 'True' }] };
  change(object);
  return object;
}

export interface Definition {
  spec: { versions: { name: string; served: boolean; schema: { openAPIV3Schema: { description: string } } }[] };
  status?: { conditions: object[] };
}

export function deployment(
  component: 'controller' | 'proxy-api',
  more: Partial<OperatorDeployment> = {},
): OperatorDeployment {
  const flags =
    component === 'controller'
      ? ['--mesh']
      : [`--service=${SERVICE}`, `--proxy-image=${IMAGE}`, '--mesh-ranges=10.244.0.0/16,10.96.0.0/16,fd00::/8'];
  const found = readDeployment({
    metadata: {
      name: `mtls-operator-${component}`,
      labels: {
        'app.kubernetes.io/name': 'mtls-operator',
        'app.kubernetes.io/component': component,
        'app.kubernetes.io/version': '0.1.0',
      },
    },
    spec: {
      replicas: 2,
      template: { spec: { serviceAccountName: 'mtls-operator', containers: [{ name: component, args: flags }] } },
    },
    status: { readyReplicas: 2 },
  });
  if (found === undefined) throw new Error('no Deployment');
  return { ...found, ...more };
}

export function webhooks(
  caBundle: string,
  change: (entry: Record<string, unknown>) => object = (entry) => entry,
): object {
  const service = { namespace: OPERATOR, name: SERVICE, path: '/inject', port: 443 };
  const options = { name: 'mtls-operator', operatorNamespace: OPERATOR, everyNamespace: false };
  const made = webhookConfiguration({ ...options, clientConfig: { caBundle, service } });
  const { webhooks: entries } = made as { webhooks: Record<string, unknown>[] };
  return { webhooks: entries.map(change) };
}

export function authority(
  roots: readonly ParsedCertificate[],
  conditions: readonly object[] = [{ type: 'Ready', status: 'True' }],
): object {
  return {
    status: {
      conditions: conditions.map((one) => ({
        reason: 'Any',
        message: 'said',
        lastTransitionTime: isoIn(-1),
        ...one,
      })),
      trust: { roots: roots.map(({ fingerprint }) => ({ fingerprint })) },
    },
  };
}

export function certificate(name: string, namespace: string, more: Partial<CertificateStatus> = {}): CertificateStatus {
  const times = { notBefore: NOW - 8 * HOUR, renewal: NOW + 8 * HOUR, notAfter: NOW + 16 * HOUR };
  const about = {
    secretName: name,
    account: 'default',
    dnsNames: [],
    ready: true,
    reason: 'Issued',
    message: 'said',
    serialNumber: '0A',
  };
  return { namespace, name, ...about, ...times, ...more };
}

export interface PodSketch {
  readonly namespace?: string;
  readonly owner?: readonly [kind: string, name: string];
  /** null: none. */
  readonly image?: string | null;
  readonly started?: boolean;
  readonly state?: object;
  readonly ageHours?: number;
  readonly address?: string;
  readonly hostNetwork?: boolean;
  readonly absence?: PodFacts['absence'];
  readonly deleting?: boolean;
}

export function pod(name: string, sketch: PodSketch = {}): PodFacts {
  const { absence, address = '10.244.0.1', ageHours = 1, deleting = false, image = IMAGE } = sketch;
  const { hostNetwork = false, namespace = 'shop', owner, started = true, state = { running: {} } } = sketch;
  const found = readPod({
    metadata: {
      namespace,
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: isoIn(-ageHours),
      ...(owner === undefined ? {} : { ownerReferences: [{ controller: true, kind: owner[0], name: owner[1] }] }),
      ...(deleting ? { deletionTimestamp: isoIn(0) } : {}),
    },
    spec: {
      hostNetwork,
      containers: [],
      initContainers: image === null ? [] : [{ name: 'mtls-proxy', image }],
    },
    status: {
      podIPs: [{ ip: address }],
      initContainerStatuses: [{ name: 'mtls-proxy', state, started, ready: started }],
    },
  });
  if (found === undefined) throw new Error('no pod');
  return { ...found, absence };
}

export function service(name: string, ...clusterIPs: string[]): MeshService {
  const metadata = { namespace: 'shop', name, resourceVersion: '1' };
  return decodeMeshService({ metadata, spec: { clusterIPs } }).value;
}

export function namespace(name: string, labels: NamespaceFacts['labels'] = {}): NamespaceFacts {
  return { name, labels: { 'mtls-operator.io/injection': 'enabled', ...labels }, deleting: false };
}

export function soundFacts(root: ParsedCertificate): CheckFacts {
  return {
    version: '0.1.0',
    operatorNamespace: OPERATOR,
    now: NOW,
    definitions: kindDefinitions.map(({ kind }, index) => ({
      name: kind.crdName,
      found: { value: definition(index) },
    })),
    admissionPolicies: [serviceAccountPolicy(`system:serviceaccount:${OPERATOR}:mtls-operator`), restartPolicy].map(
      (object) => ({ name: object.metadata.name, found: { value: object } }),
    ),
    admissionBindings: [serviceAccountPolicyBinding, restartPolicyBinding].map((object) => ({
      name: object.metadata.name,
      found: { value: object },
    })),
    deployments: { value: [deployment('controller'), deployment('proxy-api')] },
    lease: { value: lease(5) },
    authority: { value: authority([root]) },
    webhooks: { value: webhooks(bundleOf(root)) },
    webhookService: { namespace: OPERATOR, name: SERVICE, exists: { value: true }, endpoints: { value: 2 } },
    certificates: {
      value: [
        certificate(SERVICE, OPERATOR, { dnsNames: [`${SERVICE}.${OPERATOR}.svc`] }),
        certificate('mtls-proxy-default', 'shop'),
      ],
    },
    namespaces: { value: [namespace('shop')] },
    pods: { value: [pod('web')] },
    services: { value: [service('web', '10.96.0.9', 'fd00::9')] },
  };
}

export function bundleOf(...certificates: readonly ParsedCertificate[]): string {
  return Buffer.from(certificates.map(({ pem }) => pem).join('')).toString('base64');
}

export function lease(ageSeconds: number, holder = 'controller-0'): object {
  const renewTime = new Date(NOW - ageSeconds * 1000).toISOString();
  return {
    metadata: { name: 'mtls-operator', resourceVersion: '1' },
    spec: { holderIdentity: holder, leaseDurationSeconds: 15, renewTime },
  };
}
