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
