/**
 * Wires proxy-api: caches of what the mesh is made of, the configuration server of proxies, the webhook that gives pods their sidecars. Every replica does all of it; none writes anything.
 */
import { GROUP, type Kind, mtlsRolloutKind, VERSION } from '../api/index.ts';
import type { AddressRange } from '../envoy/index.ts';
import { type InjectionSettings, serveWebhook, type Webhook } from '../inject/index.ts';
import { decodePod, type PodRecord } from '../inventory/index.ts';
import {
  type Clock,
  type Connection,
  createMetrics,
  createReflector,
  createTransport,
  type Decoded,
  isNotFound,
  type Log,
  type Random,
  type Reflector,
  type Resource,
  resourcePath,
  Store,
  serveHealth,
  type Versioned,
} from '../kube/index.ts';
import { decodeEndpointSlice, type MeshEndpointSlice } from '../mesh/index.ts';
import { parseCertificates } from '../pki/index.ts';
import type { ProxyReport } from '../replicas/index.ts';
import { type ProxyStream, type ServerIdentity, serveXds, type XdsServer } from '../xds/index.ts';
import { refusalOf } from './admission.ts';
import { addressOfDestination } from './destinationResources.ts';
import { readIdentity, watchIdentity } from './identityFiles.ts';
import { MeshState, type NodeRecord } from './meshState.ts';
import { decodeRollout, type RecordedModes } from './recordedModes.ts';
import {
  decodeNamespace,
  decodeNode,
  decodeServiceEntry,
  greetingsFor,
  type NamespaceRecord,
  type ServiceEntry,
} from './records.ts';
import { ReportHub } from './reportHub.ts';

export interface ProxyApiOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
  /** The operator's. */
  readonly namespace: string;
  /** Service account of the leader, in the same namespace. */
  readonly leaderAccount: string;
  /** DNS name by which proxies reach this Deployment. */
  readonly host: string;
  /** Mounted Secret of its WorkloadCertificate. */
  readonly identityDirectory: string;
  /** 0 takes a free port, here and below. */
  readonly port: number;
  /** Port of the Service, which is written into pods. */
  readonly servicePort: number;
  readonly webhookPort: number;
  readonly healthPort: number;
  readonly ranges: readonly AddressRange[];
  readonly sourceAddresses: boolean;
  readonly injection: Omit<InjectionSettings, 'operatorNamespace' | 'proxyApi'>;
}

export interface ProxyApi {
  readonly port: number;
  readonly webhookPort: number;
  readonly healthPort: number;
  /** Resolves when the signal that it was started with has aborted, and everything is closed. */
  readonly ended: Promise<void>;
}

const core = (plural: string): Resource => ({ group: '', version: 'v1', plural });
const SLICES: Resource = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' };
const NAMESPACES = core('namespaces');
const kindResource = ({ plural }: Kind): Resource => ({ group: GROUP, version: VERSION, plural });

/** How long a namespace that the cache does not know yet is asked for (ms). The API server waits for the webhook for 10 s. */
const NAMESPACE_DEADLINE = 3_000;

/** Resolves when it serves. @throws Error where its identity cannot be read or a port cannot be had. */
export async function startProxyApi(options: ProxyApiOptions, signal: AbortSignal): Promise<ProxyApi> {
  const { clock, connection, log, random } = options;
  const metrics = createMetrics();
  const transport = createTransport({
    connection,
    clock,
    random,
    metrics,
    log,
    userAgent: `mtls-operator-proxy-api/${options.version}`,
    maxConnections: 16,
  });
  const base = { transport, clock, random, metrics, log };
  const stores = {
    pods: new Store<PodRecord>({ log }),
    services: new Store<ServiceEntry>({ log }),
    slices: new Store<MeshEndpointSlice>({ log }),
    rollouts: new Store<RecordedModes>({ log }),
    nodes: new Store<NodeRecord>({ log }),
    namespaces: new Store<NamespaceRecord>({ log }),
  };
  const reflector = <T extends Versioned>(
    resource: Resource,
    namespaces: 'all' | undefined,
    store: Store<T>,
    decode: (object: unknown) => Decoded<T> | undefined,
  ): Reflector => createReflector({ ...base, name: resource.plural, resource, namespaces, decode, store });
  const reflectors = [
    reflector(core('pods'), 'all', stores.pods, decodePod),
    reflector(core('services'), 'all', stores.services, decodeServiceEntry),
    reflector(SLICES, 'all', stores.slices, decodeEndpointSlice),
    reflector(kindResource(mtlsRolloutKind), 'all', stores.rollouts, decodeRollout),
    reflector(core('nodes'), undefined, stores.nodes, decodeNode),
    reflector(NAMESPACES, undefined, stores.namespaces, decodeNamespace),
  ];

  const identity = await readIdentity(options.identityDirectory);
  const { trustDomain, spiffeId } = whoIs(identity);
  const reports = new ReportHub({
    clock,
    log,
    listener: `spiffe://${trustDomain}/ns/${options.namespace}/sa/${options.leaderAccount}`,
  });
  let server: XdsServer | undefined;
  const state = new MeshState(stores, {
    trustDomain,
    ranges: options.ranges,
    log,
    onChange: (subjects) => server?.changed(subjects),
    onRecord: (report) => reports.record(report),
    onRecordGone: (namespace) => reports.recordGone(namespace),
  });

  const readiness = () => {
    const synced = reflectors.every((one) => one.hasSynced());
    const ok = synced && server !== undefined;
    return {
      ok,
      checks: {
        caches: synced || 'not synced yet: the API server has not answered every LIST',
        serving: server !== undefined,
      },
    };
  };
  const health = await serveHealth({
    port: options.healthPort,
    registry: metrics.registry,
    live: () => true,
    ready: readiness,
  });

  const caches = new AbortController();
  const reflecting = Promise.all(reflectors.map((one) => one.run(caches.signal)));
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  // A proxy that asks before everything is known would be told half of it.
  await Promise.race([Promise.all(reflectors.map((one) => one.synced)), aborted]);

  server = await serveXds({
    port: options.port,
    identity,
    clock,
    log,
    state: () => state.number,
    subjectOf: addressOfDestination,
    admit: (claim) => {
      const refusal = refusalOf(claim, stores.pods.get(claim.cluster), {
        trustDomain,
        sourceAddresses: options.sourceAddresses,
      });
      return refusal ?? state.sourceOf(claim.cluster, claim.id);
    },
    heard: (stream) => reports.proxy(reportOf(stream)),
    told: (number) => reports.told(number),
    gone: ({ claim }) => reports.gone(claim.id),
    more: [reports.method],
  });
  const xds = server;
  const serviceKey = `${options.namespace}/${options.host.split('.')[0]}`;
  const webhook = await serveWebhook({
    port: options.webhookPort,
    certificate: { key: identity.key, cert: identity.chain },
    settings: {
      ...options.injection,
      operatorNamespace: options.namespace,
      proxyApi: {
        host: options.host,
        port: options.servicePort,
        spiffeId,
        get address() {
          return stores.services.get(serviceKey)?.clusterIPs[0];
        },
      },
    },
    namespaceOf: async (name) => {
      const known = stores.namespaces.get(name) ?? (await askForNamespace(name));
      return known === undefined ? undefined : { name, labels: known.labels };
    },
    serverFirstOf: (pod, namespace) => greetingsFor(stores.services.values(), namespace, pod.metadata.labels ?? {}),
    log,
  });
  const watching = watchIdentity(
    identity,
    {
      directory: options.identityDirectory,
      clock,
      log,
      onChange: (next) => {
        xds.replaceIdentity(next);
        webhook.replaceCertificate({ key: next.key, cert: next.chain });
      },
    },
    signal,
  );
  return { port: xds.port, webhookPort: webhook.port, healthPort: health.port, ended: end(xds, webhook) };

  async function end(xds: XdsServer, webhook: Webhook): Promise<void> {
    await aborted;
    await watching;
    await Promise.all([webhook.close(), xds.close()]);
    caches.abort();
    await reflecting;
    await health.close();
    await transport.close();
  }

  /** One that was made a moment ago. */
  async function askForNamespace(name: string): Promise<NamespaceRecord | undefined> {
    try {
      const deadline = AbortSignal.timeout(NAMESPACE_DEADLINE);
      const found = await transport.request({
        method: 'GET',
        path: resourcePath(NAMESPACES, undefined, name),
        signal: deadline,
      });
      return decodeNamespace(found).value;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

function reportOf({ acknowledged, claim, isCurrent, refused }: ProxyStream): ProxyReport {
  const words = refused.map(({ error }) => error).join('; ');
  return {
    uid: claim.id,
    pod: claim.cluster,
    ...(acknowledged === undefined ? {} : { acknowledged }),
    ...(isCurrent ? { current: true } : {}),
    ...(words === '' ? {} : { refused: words.slice(0, 2_000) }),
  };
}

/** @throws Error where the certificate is none of a service account. */
function whoIs({ chain }: ServerIdentity): { readonly spiffeId: string; readonly trustDomain: string } {
  const [leaf] = parseCertificates(chain);
  const [uri = '', ...others] = leaf?.uris ?? [];
  const [, trustDomain] = /^spiffe:\/\/([^/]+)\/ns\/[^/]+\/sa\/[^/]+$/.exec(uri) ?? [];
  if (trustDomain === undefined || others.length > 0)
    throw new Error(
      `the certificate of proxy-api has ${leaf?.uris.length ?? 0} URIs (${uri}): it needs the SPIFFE ID of its service account alone, by spec.serviceAccountName of its WorkloadCertificate`,
    );
  return { spiffeId: uri, trustDomain };
}
