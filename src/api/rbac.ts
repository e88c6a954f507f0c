/**
 * Permissions: what the operator itself may do, each with its reason, and what users get through the roles that every
 * cluster has.
 */
import { certificateAuthorityKind, GROUP, mtlsPolicyKind, mtlsRolloutKind, workloadCertificateKind } from './kinds.ts';
import { resourceOfKind, restartKinds } from './restart.ts';

/** The service account that the operator runs as, unless it is installed elsewhere. */
export const operatorAccount = { namespace: 'mtls-system', name: 'mtls-operator' } as const;

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A permission of the operator, and what it is needed for. */
export interface ReasonedRule {
  readonly why: string;
  readonly rule: PolicyRule;
}

const wcert = workloadCertificateKind.plural;
const mca = certificateAuthorityKind.plural;
const mtlsp = mtlsPolicyKind.plural;
const mtlsr = mtlsRolloutKind.plural;

/** What has no namespace, or has to be seen of all of them. */
export const clusterRules: readonly ReasonedRule[] = [
  {
    why: 'To make the authority "default" where there is none, and to hold one that is in use by a finalizer (a merge patch of metadata).',
    rule: { apiGroups: [GROUP], resources: [mca], verbs: ['get', 'list', 'watch', 'create', 'patch'] },
  },
  {
    why: 'To say how an authority fares.',
    rule: { apiGroups: [GROUP], resources: [`${mca}/status`], verbs: ['patch'] },
  },
  {
    why: 'Labels of namespaces decide which names a namespace may have.',
    rule: { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'list', 'watch'] },
  },
];

const events = { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] };

function policyRules(why: string): readonly ReasonedRule[] {
  return [
    { why, rule: { apiGroups: [GROUP], resources: [mtlsp], verbs: ['list', 'watch'] } },
    {
      why: 'To say what a policy comes to: a merge patch of status.',
      rule: { apiGroups: [GROUP], resources: [`${mtlsp}/status`], verbs: ['patch'] },
    },
  ];
}

/** In the namespaces that are served: all of them, or those that were named. */
export const servedRules: readonly ReasonedRule[] = [
  {
    why: 'To see what is asked for. The spec of a WorkloadCertificate is never written.',
    rule: { apiGroups: [GROUP], resources: [wcert], verbs: ['get', 'list', 'watch'] },
  },
  {
    why: 'To say what became of it: a merge patch of status.',
    rule: { apiGroups: [GROUP], resources: [`${wcert}/status`], verbs: ['patch'] },
  },
  {
    why:
      'For deletionPolicy Delete: where OwnerReferencesPermissionEnforcement is on, a Secret may only name a ' +
      'WorkloadCertificate as its blocking owner ' +
      'with this permission.',
    rule: { apiGroups: [GROUP], resources: [`${wcert}/finalizers`], verbs: ['update'] },
  },
  ...policyRules('To see which modes are asked for. The spec of an MTLSPolicy is never written.'),
  {
    why:
      'Keys and certificates are written into Secrets, and watched so that damage is mended. RBAC cannot narrow ' +
      'this to our own Secrets: the operator can ' +
      'read every Secret here. There is no delete, and no patch: what is written is written whole.',
    rule: { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch', 'create', 'update'] },
  },
  {
    why: 'To tell of failures, conflicts and first issuances beside the object that they are about.',
    rule: events,
  },
];

/** In the namespaces that are served, where spec.restart is to be honoured: the chart's `restart.enabled`, off by default. */
export const restartRules: readonly ReasonedRule[] = [
  {
    why:
      'To restart the workloads of spec.restart after a renewal: an annotation on the pod template. RBAC cannot narrow a ' +
      'patch to that: whoever has these permissions can run any program in these workloads.',
    rule: { apiGroups: ['apps'], resources: restartKinds.map(resourceOfKind), verbs: ['get', 'patch'] },
  },
];

/** In the namespaces that are served, for status.consumers and what policies come to: the chart's `watchPods.enabled`, off by default. */
export const inventoryRules: readonly ReasonedRule[] = [
  {
    why:
      'To tell which pods use a Secret and were started before its certificate, and which policies are for them. Of a pod, that and its labels ' +
      'and ports are kept.',
    rule: { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
  },
  {
    why: 'To tell a policy that names the port of a Service from one that names a container port.',
    rule: { apiGroups: [''], resources: ['services'], verbs: ['list', 'watch'] },
  },
];

/** Of proxy-api, in the whole cluster. It reads, and writes nothing: no Secrets either. */
export const proxyApiRules: readonly ReasonedRule[] = [
  {
    why: 'Where connections go, and who is there. Of a pod its addresses, account, labels, ports and owner are kept.',
    rule: { apiGroups: [''], resources: ['pods', 'services'], verbs: ['list', 'watch'] },
  },
  {
    why: 'The endpoints of Services, as kube-proxy sees them.',
    rule: { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  },
  {
    why: 'The zones of nodes: some Services lead to endpoints that are near.',
    rule: { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
  },
  {
    why: 'Labels of namespaces say whose pods get a sidecar; get, for one that was made a moment ago.',
    rule: { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'list', 'watch'] },
  },
  {
    why: 'The modes that proxies are rendered from.',
    rule: { apiGroups: [GROUP], resources: [mtlsr], verbs: ['list', 'watch'] },
  },
];

/** Of what Helm runs before it uninstalls a release with sidecars, in the whole cluster. */
export const uninstallRules: readonly ReasonedRule[] = [
  {
    why: 'To count the pods that have a sidecar, which go on without an operator only until their certificates expire.',
    rule: { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
  },
];

/** Name of the MutatingWebhookConfiguration by which pods get their sidecars, unless the operator is told another. */
export const WEBHOOK_CONFIGURATION = 'mtls-operator';

/**
 * In the namespaces that are served and the operator's own, for sidecars (--mesh): beside `inventoryRules`, by which it knows the
 * pods.
 */
export const meshRules: readonly ReasonedRule[] = [
  {
    why:
      'To make the WorkloadCertificate of each service account whose pods have a sidecar, put it right where it was edited, and ' +
      'remove it when it has been unused for long. RBAC cannot narrow this to our own; the operator leaves alone what does not carry ' +
      'its label, and the admission policy refuses it every other identity.',
    rule: { apiGroups: [GROUP], resources: [wcert], verbs: ['create', 'patch', 'delete'] },
  },
];

/** For sidecars (--mesh): what has no namespace. */
export const meshClusterRules: readonly ReasonedRule[] = [
  {
    why: 'To keep the roots by which the API server verifies our webhook those of the authority: a patch of caBundle.',
    rule: {
      apiGroups: ['admissionregistration.k8s.io'],
      resources: ['mutatingwebhookconfigurations'],
      verbs: ['list', 'watch', 'patch'],
      resourceNames: [WEBHOOK_CONFIGURATION],
    },
  },
];

/** In the namespaces that are served, where pods get sidecars: the leader's record of how far each port is switched. */
export const rolloutRules: readonly ReasonedRule[] = [
  {
    why:
      'To keep the record of a namespace, which proxies are configured from: made with its first pod that has a sidecar, removed with the last. Written whole ' +
      'and bound to the version that was read, so that a former leader changes nothing; there is no patch.',
    rule: { apiGroups: [GROUP], resources: [mtlsr], verbs: ['list', 'watch', 'create', 'update', 'delete'] },
  },
  {
    why: 'To say what a switch waits for: a merge patch of status.',
    rule: { apiGroups: [GROUP], resources: [`${mtlsr}/status`], verbs: ['patch'] },
  },
];

/** In the operator's own namespace, whatever else is served. */
export const ownNamespaceRules: readonly ReasonedRule[] = [
  {
    why: 'One of several replicas leads: the Lease says which.',
    rule: { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
  },
  ...policyRules('Policies for the whole mesh are here, whatever else is served.'),
  {
    why:
      'The keys of the CAs: each generation is a Secret that is made once, marked when it is retired, and removed when it ' +
      'has expired.',
    rule: {
      apiGroups: [''],
      resources: ['secrets'],
      verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    },
  },
];

/** In the namespace `default`, where Kubernetes keeps the events about what has no namespace. */
export const authorityEventRules: readonly ReasonedRule[] = [{ why: 'To tell how authorities fare.', rule: events }];

/** What the ClusterRole of an operator for the whole cluster holds. */
export const everywhereRules: readonly ReasonedRule[] = [...clusterRules, ...servedRules];

const named = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  name,
  labels: { 'app.kubernetes.io/name': 'mtls-operator', ...labels },
});

const role = (kind: 'Role' | 'ClusterRole', namespace?: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind,
  metadata: { ...named(operatorAccount.name), ...(namespace === undefined ? {} : { namespace }) },
  rules: (kind === 'Role' ? ownNamespaceRules : everywhereRules).map(({ rule }) => rule),
});

const binding = (kind: 'Role' | 'ClusterRole', namespace?: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: `${kind}Binding`,
  metadata: { ...named(operatorAccount.name), ...(namespace === undefined ? {} : { namespace }) },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: operatorAccount.name },
  subjects: [{ kind: 'ServiceAccount', ...operatorAccount }],
});

/** Everything that the operator needs to act on the whole cluster, except its namespace. What the chart grants by default, as one file. */
export const operatorRbac: readonly object[] = [
  {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { ...named(operatorAccount.name), namespace: operatorAccount.namespace },
    // The Deployment mounts a token for itself: pods that are given this account by mistake get none.
    automountServiceAccountToken: false,
  },
  role('ClusterRole'),
  binding('ClusterRole'),
  role('Role', operatorAccount.namespace),
  binding('Role', operatorAccount.namespace),
];

/** For users: added to the roles admin, edit and view that every cluster has (aggregation). */
export const editRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: named('mtls-operator-edit', {
    'rbac.authorization.k8s.io/aggregate-to-admin': 'true',
    'rbac.authorization.k8s.io/aggregate-to-edit': 'true',
  }),
  rules: [
    {
      apiGroups: [GROUP],
      resources: [wcert, mtlsp],
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    },
  ],
};

export const viewRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: named('mtls-operator-view', {
    'rbac.authorization.k8s.io/aggregate-to-admin': 'true',
    'rbac.authorization.k8s.io/aggregate-to-edit': 'true',
    'rbac.authorization.k8s.io/aggregate-to-view': 'true',
  }),
  // Rollouts are the operator's own: nobody else writes them.
  rules: [{ apiGroups: [GROUP], resources: [wcert, mtlsp, mtlsr], verbs: ['get', 'list', 'watch'] }],
};
