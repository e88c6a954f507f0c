import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterAuthority } from './credentials.ts';

export type AuditMode = 'blocking' | 'batch' | 'off';

// The files of one cluster, by their place in its directory.
const files = {
  etcdSocket: 'etcd.sock',
  etcdHealthSocket: 'etcd-health.sock',
  servingCertificate: 'apiserver.crt',
  servingKey: 'apiserver.key',
  kubeletClientCertificate: 'kubelet-client.crt',
  kubeletClientKey: 'kubelet-client.key',
  clientAuthority: 'client-ca.crt',
  tokens: 'tokens.csv',
  serviceAccountKey: 'service-account.key',
  serviceAccountPublicKey: 'service-account.pub',
  authentication: 'authentication.json',
  auditPolicy: 'audit-policy.json',
  auditLog: 'audit.log',
} as const;

/** Where the API server serves, and from which range Services have their addresses. */
export interface ClusterNetwork {
  /** IPv4 */
  readonly address: string;
  readonly serviceRange: string;
  /** Address of the Service `kubernetes`: the first of the range. */
  readonly apiServiceAddress: string;
}

/** For a cluster without nodes: no pod will ever ask for the API server. */
export const loopback: ClusterNetwork = {
  address: '127.0.0.1',
  serviceRange: '10.96.0.0/16',
  apiServiceAddress: '10.96.0.1',
};

export const clientAuthorityFile = (directory: string): string => join(directory, files.clientAuthority);
export const etcdHealthSocket = (directory: string): string => join(directory, files.etcdHealthSocket);

/** Writes every file that the flags below name. */
export function writeConfiguration(
  directory: string,
  of: {
    readonly authority: ClusterAuthority;
    readonly token: string;
    readonly network: ClusterNetwork;
    readonly serviceAccountKey: { readonly pem: string; readonly publicPem: string };
  },
): void {
  const write = (file: string, text: string) => writeFileSync(join(directory, file), text, { mode: 0o600 });
  const serving = of.authority.serving(
    ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
    [of.network.address, of.network.apiServiceAddress],
  );
  write(files.servingCertificate, serving.certificate);
  write(files.servingKey, serving.key);
  // With it the API server gets logs and the like from kubelets, for users whom it has authorized itself.
  const kubeletClient = of.authority.client('kube-apiserver-kubelet-client', ['system:masters']);
  write(files.kubeletClientCertificate, kubeletClient.certificate);
  write(files.kubeletClientKey, kubeletClient.key);
  write(files.clientAuthority, of.authority.certificate);
  write(files.tokens, `${of.token},admin,admin,system:masters\n`);
  write(files.serviceAccountKey, of.serviceAccountKey.pem);
  write(files.serviceAccountPublicKey, of.serviceAccountKey.publicPem);
  write(files.authentication, JSON.stringify(authentication));
  write(files.auditPolicy, JSON.stringify(auditPolicy));
}

const probes = ['/livez', '/readyz', '/healthz'];

// Without credentials a client may ask for the server's health and nothing else.
const authentication = {
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthenticationConfiguration',
  anonymous: { enabled: true, conditions: probes.map((path) => ({ path })) },
};

// Metadata of every request once it is answered; a watch is answered when it begins (ResponseStarted) and when it ends.
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'None', nonResourceURLs: probes.flatMap((path) => [path, `${path}/*`]) }, { level: 'Metadata' }],
};

export function etcdArgs(directory: string): string[] {
  const socket = (name: string) => `unix://${join(directory, name)}`;
  const client = socket(files.etcdSocket);
  const peer = socket('etcd-peer.sock');
  return [
    '--name=test',
    `--data-dir=${join(directory, 'etcd')}`,
    // Sockets in a directory that only its owner can enter: no port to choose, and no TLS to pay for.
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-client-http-urls=${socket(files.etcdHealthSocket)}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    // A killed etcd keeps its data (the kernel has it); only a power failure would not, and nothing here outlives that.
    '--unsafe-no-fsync',
    `--quota-backend-bytes=${8 * 1024 ** 3}`, // 2 GB by default: fault and load tests write every revision of every Secret
    '--log-level=warn',
  ];
}

/** Our flags; one that `more` gives too is replaced. */
export function apiServerArgs(
  directory: string,
  { address, serviceRange }: ClusterNetwork,
  port: number,
  audit: AuditMode,
  more: readonly string[],
): string[] {
  const file = (name: string) => join(directory, name);
  const auditFlags = [
    `--audit-policy-file=${file(files.auditPolicy)}`,
    `--audit-log-path=${file(files.auditLog)}`,
    `--audit-log-mode=${audit}`,
    '--audit-log-maxsize=0', // one file, however long
  ];
  const batchFlags = [
    '--audit-log-batch-max-size=1000',
    '--audit-log-batch-max-wait=1s',
    '--audit-log-batch-buffer-size=1000000',
  ];
  const flags = [
    `--bind-address=${address}`,
    `--secure-port=${port}`,
    `--advertise-address=${address}`,
    // A loopback address is no valid endpoint of the Service `kubernetes`.
    `--endpoint-reconciler-type=${address === loopback.address ? 'none' : 'lease'}`,
    `--etcd-servers=unix://${file(files.etcdSocket)}`,
    `--tls-cert-file=${file(files.servingCertificate)}`,
    `--tls-private-key-file=${file(files.servingKey)}`,
    `--client-ca-file=${file(files.clientAuthority)}`,
    `--kubelet-client-certificate=${file(files.kubeletClientCertificate)}`,
    `--kubelet-client-key=${file(files.kubeletClientKey)}`,
    `--kubelet-certificate-authority=${file(files.clientAuthority)}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--token-auth-file=${file(files.tokens)}`,
    `--authentication-config=${file(files.authentication)}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${file(files.serviceAccountPublicKey)}`,
    `--service-account-signing-key-file=${file(files.serviceAccountKey)}`,
    `--service-cluster-ip-range=${serviceRange}`,
    '--allow-privileged=true', // as in kubeadm: pods of the data plane's tests carry NET_ADMIN
    '--profiling=false',
    // On SIGTERM open watches are ended. Without it the server waits a minute for them to end by themselves.
    '--shutdown-watch-termination-grace-period=1s',
    ...(audit === 'off' ? [] : auditFlags),
    ...(audit === 'batch' ? batchFlags : []),
  ];
  const name = (flag: string) => flag.split('=', 1)[0];
  const replaced = new Set(more.map(name));
  return [...flags.filter((flag) => !replaced.has(name(flag))), ...more];
}

// What tests rely on, and nothing that would need nodes: the rest of the fifty would only cost memory and watches.
const controllers = [
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'clusterrole-aggregation-controller', // fills `admin`, `edit` and `view`
  'validatingadmissionpolicy-status-controller', // type-checks our policy's CEL and says so in its status
  'deployment-controller',
  'replicaset-controller',
  'endpointslice-controller',
  'job-controller',
];

// What pods and those who deploy them need besides.
const controllersOfNodes = [
  'node-lifecycle-controller',
  'taint-eviction-controller',
  'pod-garbage-collector-controller',
  'daemonset-controller',
  'statefulset-controller',
  'disruption-controller', // the status of PodDisruptionBudgets, without which nothing may be evicted
];

export function controllerManagerArgs(
  directory: string,
  kubeconfig: string,
  network: ClusterNetwork,
  more: readonly string[],
): string[] {
  const wanted = network === loopback ? controllers : [...controllers, ...controllersOfNodes];
  const file = (name: string) => join(directory, name);
  return [
    `--kubeconfig=${kubeconfig}`,
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${file(files.serviceAccountKey)}`,
    `--root-ca-file=${file(files.clientAuthority)}`,
    `--controllers=${wanted.join(',')}`,
    '--leader-elect=false',
    '--secure-port=0', // nobody asks it anything, so there is no second port to choose
    '--min-resync-period=30s',
    '--namespace-sync-period=5s',
    '--node-monitor-grace-period=20s', // a minute by default until a node counts as lost
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
    ...more, // of a flag that is given twice the last counts
  ];
}
