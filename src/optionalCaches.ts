/**
 * Wires what certificates never wait for: policies, pods and Services, and what sidecars need. Their kind or their permission may not be there, as in the
 * middle of an upgrade.
 */
import { GROUP, type Kind, mtlsPolicyKind, mtlsRolloutKind, VERSION } from './api/index.ts';
import type { AuthorityCatalogue } from './authority/index.ts';
import type { CertificateRecord, Claims, SecretRecord } from './certificate/index.ts';
import {
  decodeWebhooks,
  HostNetworkPods,
  IdentityController,
  LeaderIdentitySource,
  leaderCertificate,
  leaderSecretName,
  MESH_AUTHORITY,
  proxyApiCertificate,
  WEBHOOK_CONFIGURATIONS,
  WebhookController,
  type WebhooksRecord,
} from './identity/index.ts';
import { asked } from './inject/index.ts';
import {
  decodePod,
  decodeService,
  InventoryController,
  type PodRecord,
  type ServiceRecord,
} from './inventory/index.ts';
import {
  type Clock,
  createReflector,
  type EventRecorder,
  type Log,
  type Metrics,
  type Random,
  type Reflector,
  type Resource,
  Store,
  type Transport,
} from './kube/index.ts';
import { spiffeId } from './pki/index.ts';
import { decodePolicy, type Enforcement, PolicyController, type PolicyRecord } from './policy/index.ts';
import { Replicas } from './replicas/index.ts';
import { decodeRollout, RolloutController, type RolloutRecord } from './rollout/index.ts';

/** What an operator needs to know for sidecars. */
export interface MeshOptions {
  /** Name of proxy-api's Service in the operator's namespace, and of its certificate. */
  readonly proxyApiService: string;
  /** Service account of proxy-api, in the operator's namespace. */
  readonly proxyApiAccount: string;
  /** Name of the MutatingWebhookConfiguration that has the roots of the authority. */
  readonly webhookConfiguration: string;
  /** Labels of proxy-api's pods, and the port on which they tell of proxies. */
  readonly proxyApiSelector: Readonly<Record<string, string>>;
  readonly proxyApiPort: number;
  /** Service account of the operator itself. */
  readonly leaderAccount: string;
  /** How long sidecars let connections of a mode go on that has ended. */
  readonly drainSeconds: number;
  /** Every namespace is in the mesh unless its label says otherwise. */
  readonly everyNamespace: boolean;
  /** How long (ms) the certificate of a service account is kept that no pod with a sidecar has. */
  readonly retention: number;
}

export interface OptionalCachesOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly operatorNamespace: string;
  readonly namespaces: readonly string[] | 'all';
  readonly clusterDomain: string;
  readonly watchPods: boolean;
  readonly mesh: MeshOptions | undefined;
  readonly certificates: Store<CertificateRecord>;
  readonly secrets: Store<SecretRecord>;
  readonly claims: Claims;
  readonly catalogue: AuthorityCatalogue;
  readonly isTerminating: (namespace: string) => boolean;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
}

export interface OptionalCaches {
  readonly reflectors: readonly Reflector[];
  readonly pods: Store<PodRecord>;
  /** Works until the signal aborts. The caches of certificates are synced before this is called. */
  run(signal: AbortSignal): Promise<unknown>;
  /** Everything may be different, as after a jump of the clock. */
  wakeAll(): void;
  /** The labels of a namespace are others. */
  namespaceChanged(namespace: string): void;
  /** In Prometheus' text format. */
  series(): Generator<string>;
}

export const kindResource = ({ plural }: Kind): Resource => ({ group: GROUP, version: VERSION, plural });
const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
const SERVICES: Resource = { group: '', version: 'v1', plural: 'services' };

export function wireOptionalCaches(options: OptionalCachesOptions): OptionalCaches {
  const { log, namespaces, operatorNamespace } = options;
  const pods = new Store<PodRecord>({ log });
  const services = new Store<ServiceRecord>({ log });
  const inventory =
    options.watchPods || options.mesh !== undefined ? wireInventory(options, pods, services) : undefined;
  const enforcement: Enforcement | undefined =
    options.mesh === undefined ? undefined : { of: (key) => mesh?.rollouts.enforcement.of(key) };
  const policy = wirePolicies(options, pods, services, enforcement, (namespace) => {
    const known = inventory?.reflectors.every((reflector) => reflector.hasSynced()) === true;
    return known && (namespace === undefined || namespaces === 'all' || namespaces.includes(namespace));
  });
  const mesh =
    options.mesh === undefined
      ? undefined
      : wireMesh(options, { ...options.mesh, namespace: operatorNamespace }, pods, policy);
  return {
    reflectors: [policy.reflector, ...(inventory?.reflectors ?? []), ...(mesh?.reflectors ?? [])],
    pods,
    run: (signal) =>
      Promise.all([
        inventory?.controller.run(signal, inventory.podsSynced),
        policy.controller.run(signal, policy.reflector.synced, inventory?.synced),
        inventory && mesh?.run(signal, inventory.podsSynced),
      ]),
    wakeAll: () => {
      policy.controller.wakeAll();
      mesh?.rollouts.wakeAll();
    },
    namespaceChanged: (namespace) => {
      policy.controller.namespaceChanged(namespace);
      mesh?.onHosts.namespaceChanged(namespace);
    },
    *series() {
      if (inventory !== undefined) yield* inventory.controller.series();
    },
  };
}

function wireInventory(options: OptionalCachesOptions, pods: Store<PodRecord>, services: Store<ServiceRecord>) {
  const { namespaces } = options;
  const controller = new InventoryController({ ...options, pods });
  const podReflector = createReflector({
    ...options,
    name: 'pods',
    resource: PODS,
    namespaces,
    decode: decodePod,
    store: pods,
  });
  const serviceReflector = createReflector({
    ...options,
    name: 'services',
    resource: SERVICES,
    namespaces,
    decode: decodeService,
    store: services,
  });
  const synced = Promise.all([podReflector.synced, serviceReflector.synced]);
  return { controller, reflectors: [podReflector, serviceReflector], podsSynced: podReflector.synced, synced };
}

function wirePolicies(
  options: OptionalCachesOptions,
  pods: Store<PodRecord>,
  services: Store<ServiceRecord>,
  enforcement: Enforcement | undefined,
  knowsPods: (namespace: string | undefined) => boolean,
) {
  const { log, namespaces, operatorNamespace } = options;
  const policies = new Store<PolicyRecord>({ log });
  const reflector = createReflector({
    ...options,
    name: 'mtlspolicies',
    resource: kindResource(mtlsPolicyKind),
    // Those for the whole mesh are in the operator's own namespace.
    namespaces: namespaces === 'all' ? 'all' : [...namespaces, operatorNamespace],
    decode: decodePolicy,
    store: policies,
  });
  const controller = new PolicyController({
    ...options,
    meshNamespace: operatorNamespace,
    policies,
    pods,
    services,
    enforcement,
    knowsPods,
    inMesh: (name) => {
      const { mesh, namespaceLabels } = options;
      const labels = namespaceLabels(name);
      const scope = { operatorNamespace, everyNamespace: mesh?.everyNamespace === true };
      return labels !== undefined && asked({}, { name, labels }, scope).asked;
    },
  });
  return { controller, policies, reflector };
}

function wireMesh(
  options: OptionalCachesOptions,
  mesh: MeshOptions & { readonly namespace: string },
  pods: Store<PodRecord>,
  policy: ReturnType<typeof wirePolicies>,
) {
  const { catalogue, clusterDomain, log, secrets } = options;
  const { leaderAccount, namespace } = mesh;
  const configurations = new Store<WebhooksRecord>({ log });
  const records = new Store<RolloutRecord>({ log });
  const proxyApi = { namespace, service: mesh.proxyApiService, account: mesh.proxyApiAccount };
  const identities = new IdentityController({
    ...options,
    pods,
    always: [proxyApiCertificate(proxyApi, clusterDomain), leaderCertificate(namespace, leaderAccount)],
    retention: mesh.retention,
  });
  const onHosts = new HostNetworkPods({
    ...options,
    pods,
    operatorNamespace: namespace,
    everyNamespace: mesh.everyNamespace,
  });
  const webhooks = new WebhookController({ ...options, configurations });
  const leader = new LeaderIdentitySource({ ...options, namespace, name: leaderSecretName(leaderAccount), secrets });
  const replicas = new Replicas({
    ...options,
    pods,
    namespace,
    labels: mesh.proxyApiSelector,
    port: mesh.proxyApiPort,
    spiffeId: () => {
      const trustDomain = catalogue.get(MESH_AUTHORITY)?.spec.trustDomain;
      return trustDomain && spiffeId({ trustDomain, namespace, serviceAccountName: mesh.proxyApiAccount });
    },
    identity: () => leader.current,
  });
  const rollouts = new RolloutController({
    ...options,
    meshNamespace: namespace,
    pods,
    policies: policy.policies,
    rollouts: records,
    index: policy.controller.index,
    acknowledgements: replicas,
    drainSeconds: mesh.drainSeconds,
    onEnforcement: (policies) => policy.controller.proxiesChanged(policies),
  });
  const webhookReflector = createReflector({
    ...options,
    name: 'webhooks',
    resource: WEBHOOK_CONFIGURATIONS,
    namespaces: undefined,
    // RBAC by resourceNames allows a watch of that name alone.
    fieldSelector: `metadata.name=${mesh.webhookConfiguration}`,
    decode: decodeWebhooks,
    store: configurations,
  });
  const recordReflector = createReflector({
    ...options,
    name: 'mtlsrollouts',
    resource: kindResource(mtlsRolloutKind),
    decode: decodeRollout,
    store: records,
  });
  return {
    onHosts,
    rollouts,
    reflectors: [webhookReflector, recordReflector],
    run: (signal: AbortSignal, podsSynced: Promise<unknown>): Promise<unknown> =>
      Promise.all([
        identities.run(signal, podsSynced),
        onHosts.run(signal),
        webhooks.run(signal),
        leader.run(signal),
        replicas.run(signal),
        rollouts.run(signal, Promise.all([podsSynced, policy.reflector.synced, recordReflector.synced])),
      ]),
  };
}
