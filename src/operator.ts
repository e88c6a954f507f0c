/**
 * Wires the parts: one transport, the caches, the Lease, the controllers. Start order as in controller-runtime: probes, caches on every
 * replica, then, by the leader alone, authorities and after them certificates.
 */

import {
  certificateAuthorityKind,
  GROUP,
  labels,
  OPERATOR_LEASE,
  purposes,
  workloadCertificateKind,
} from './api/index.ts';
import {
  AuthorityCatalogue,
  AuthorityController,
  type AuthorityRecord,
  type CaSecretRecord,
  decodeAuthority,
  decodeCaSecret,
  ensureDefaultAuthority,
  type IssuerInUse,
  type RootInUse,
} from './authority/index.ts';
import {
  CertificateController,
  type CertificateRecord,
  certificateSeries,
  decodeCertificate,
  inspectSecret,
  readSecret,
  type SecretRecord,
} from './certificate/index.ts';
import {
  asRecord,
  type Clock,
  type Connection,
  collectGarbage,
  createEventRecorder,
  createMetrics,
  createReflector,
  createTransport,
  type HealthServer,
  type Log,
  Quiet,
  type Random,
  type Reflector,
  type Resource,
  runLeaderElection,
  SECRETS,
  Store,
  serveHealth,
  stringMap,
  type Transport,
  watchForJumps,
} from './kube/index.ts';
import { kindResource, type MeshOptions, wireOptionalCaches } from './optionalCaches.ts';
import type { ParsedCertificate } from './pki/index.ts';
import { RestartController } from './restart/index.ts';

export interface OperatorOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where the CAs and the Lease live. */
  readonly namespace: string;
  /** Namespaces to serve; 'all' needs cluster-wide permissions. */
  readonly namespaces: readonly string[] | 'all';
  readonly clusterDomain: string;
  /** Makes the authority `default` with this trust domain where there is none; undefined: never. */
  readonly defaultAuthority: { readonly trustDomain: string } | undefined;
  readonly identity: string;
  readonly leaderElection: boolean;
  readonly workers: number;
  /** Workloads that are restarted at once, for spec.restart. */
  readonly maxRestarts: number;
  /** Watches all pods and Services, to tell which pods were started before their certificate, and what policies come to. */
  readonly watchPods: boolean;
  /** For sidecars: watches pods, too, and serves the operator's own namespace. undefined: there are none. */
  readonly mesh: MeshOptions | undefined;
  /** 0 takes a free port. */
  readonly healthPort: number;
  readonly healthHost: string | undefined;
  readonly version: string;
}

export interface Operator {
  readonly healthPort: number;
  /** Ends when the signal that it was started with aborts (`released`), or when the Lease is lost: then the process has to exit. */
  readonly ended: Promise<'released' | 'lost'>;
}

const NAMESPACES: Resource = { group: '', version: 'v1', plural: 'namespaces' };

interface NamespaceRecord {
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly terminating: boolean;
}

/** Resolves when probes are served; rejects if their port cannot be had. */
export async function startOperator(options: OperatorOptions, signal: AbortSignal): Promise<Operator> {
  const { clock, connection, log, random } = options;
  const served = servedNamespaces(options);
  const metrics = createMetrics();
  const transport = createTransport({
    connection,
    clock,
    random,
    metrics,
    log,
    userAgent: `mtls-operator/${options.version}`,
    maxConnections: Math.max(16, options.workers + 4),
  });
  const base = { transport, clock, random, metrics, log };
  const events = createEventRecorder({
    ...base,
    reportingController: `${GROUP}/controller`,
    reportingInstance: options.identity,
  });

  const authorities = new Store<AuthorityRecord>({ log });
  const caSecrets = new Store<CaSecretRecord>({ log });
  const certificates = new Store<CertificateRecord>({ log });
  const secrets = new Store<SecretRecord>({ log });
  const namespaces = new Store<NamespaceRecord>({ log });
  const reflectors: Reflector[] = [
    createReflector({
      ...base,
      name: 'certificateauthorities',
      resource: kindResource(certificateAuthorityKind),
      namespaces: undefined,
      decode: decodeAuthority,
      store: authorities,
    }),
    createReflector({
      ...base,
      name: 'authority-secrets',
      resource: SECRETS,
      namespaces: [options.namespace],
      decode: decodeCaSecret,
      store: caSecrets,
    }),
    createReflector({
      ...base,
      name: 'workloadcertificates',
      resource: kindResource(workloadCertificateKind),
      namespaces: served,
      decode: decodeCertificate,
      store: certificates,
    }),
    createReflector({
      ...base,
      name: 'certificate-secrets',
      resource: SECRETS,
      namespaces: served,
      labelSelector: `${labels.purpose}=${purposes.workloadCertificate}`,
      decode: (object) => decodeSecret(object, secrets, () => rootsOf(catalogue)),
      store: secrets,
    }),
    createReflector({
      ...base,
      name: 'namespaces',
      resource: NAMESPACES,
      namespaces: undefined,
      decode: decodeNamespace,
      store: namespaces,
    }),
  ];

  const catalogue = new AuthorityCatalogue();
  const certificateController = new CertificateController({
    ...base,
    events,
    clusterDomain: options.clusterDomain,
    workers: options.workers,
    certificates,
    secrets,
    namespaceLabels: (namespace) => namespaces.get(namespace)?.labels,
    catalogue,
    authorityPending: (authority) => authorities.has(authority) && catalogue.get(authority) === undefined,
    wakeAuthority: (authority) => authorityController.wake(authority),
  });
  const authorityController: AuthorityController = new AuthorityController({
    ...base,
    events,
    operatorNamespace: options.namespace,
    namespaces: served,
    authorities,
    caSecrets,
    catalogue,
    usersOf: (authority) => certificateController.claims.ofAuthority(authority),
    rootsInUse: (authority) => rootsInUse(secrets, authority),
    issuersInUse: (authority) => issuersInUse(secrets, authority),
  });
  const restartController = new RestartController({
    ...base,
    events,
    certificates,
    secrets,
    claims: certificateController.claims,
    limit: options.maxRestarts,
  });
  const optional = wireOptionalCaches({
    ...base,
    events,
    operatorNamespace: options.namespace,
    namespaces: served,
    clusterDomain: options.clusterDomain,
    watchPods: options.watchPods,
    mesh: options.mesh,
    certificates,
    secrets,
    claims: certificateController.claims,
    catalogue,
    isTerminating: (namespace) => namespaces.get(namespace)?.terminating === true,
    namespaceLabels: (namespace) => namespaces.get(namespace)?.labels,
  });
  namespaces.subscribe(({ key, before, after }) => {
    if (JSON.stringify(before?.labels) === JSON.stringify(after?.labels)) return;
    certificateController.namespaceChanged(key);
    optional.namespaceChanged(key);
  });
  certificates.subscribe(({ before, after }) => {
    // An authority that is being deleted waits for its last user.
    if (before !== undefined && before.authority !== after?.authority) authorityController.wake(before.authority);
  });

  const quiet = new Quiet({ clock, onQuiet: collectGarbage });
  for (const store of [certificates, secrets, optional.pods]) store.subscribe(() => quiet.note());

  let leading = false;
  const health = await serveHealth({
    port: options.healthPort,
    ...(options.healthHost === undefined ? {} : { host: options.healthHost }),
    registry: metrics.registry,
    live: () => true,
    ready: () => {
      const synced = reflectors.every((reflector) => reflector.hasSynced());
      return {
        ok: synced,
        checks: { caches: synced || 'not synced yet: the API server has not answered every LIST', leading },
      };
    },
    moreMetrics: function* () {
      yield* authorityController.series();
      yield* certificateSeries(() => certificateController.times());
      yield* optional.series();
    },
  });

  async function lead(leadSignal: AbortSignal): Promise<void> {
    log.info({ identity: options.identity }, 'leading');
    leading = true;
    metrics.leader.set({ name: OPERATOR_LEASE }, 1);
    if (options.defaultAuthority !== undefined) {
      const { trustDomain } = options.defaultAuthority;
      const existing = authorities.keys();
      const made = await ensureDefaultAuthority({ transport, log, existing, trustDomain, signal: leadSignal });
      const decoded = made === undefined ? undefined : decodeAuthority(made);
      if (decoded !== undefined) authorities.observe(decoded.key, decoded.value);
    }
    // What rests until some time of the clock that was set must not rest until that time comes again.
    const stopWatchingClock = watchForJumps(clock, (milliseconds) => {
      log.warn({ milliseconds }, 'the wall clock has jumped, looking at everything anew');
      for (const authority of authorities.keys()) authorityController.wake(authority);
      certificateController.wakeAll();
      optional.wakeAll();
    });
    let certificatesDone: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      authorityController
        .run(leadSignal, () => {
          certificatesDone = Promise.all([
            certificateController.run(leadSignal),
            restartController.run(leadSignal),
            optional.run(leadSignal),
          ]);
        })
        .then(() => certificatesDone)
        .then(() => resolve(), reject);
    }).finally(stopWatchingClock);
    leading = false;
  }

  return { healthPort: health.port, ended: run() };

  async function run(): Promise<'released' | 'lost'> {
    // The caches outlive the leader's work: what is in flight at the end still reads them.
    const caches = new AbortController();
    const all = [...reflectors, ...optional.reflectors];
    const reflecting = Promise.all(all.map((reflector) => reflector.run(caches.signal)));
    try {
      await orAborted(Promise.all(reflectors.map((reflector) => reflector.synced)), signal);
      if (signal.aborted) return 'released';
      if (!options.leaderElection) {
        await lead(signal);
        return 'released';
      }
      return await runLeaderElection({
        ...base,
        namespace: options.namespace,
        name: OPERATOR_LEASE,
        identity: options.identity,
        signal,
        lead,
      });
    } finally {
      await events.drain(AbortSignal.timeout(2_000));
      caches.abort();
      await reflecting;
      await close(health, transport);
    }
  }
}

async function close(health: HealthServer, transport: Transport): Promise<void> {
  await health.close();
  await transport.close();
}

/** With sidecars the operator's own namespace, too: proxy-api has its certificate there. */
function servedNamespaces({ mesh, namespace, namespaces }: OperatorOptions): readonly string[] | 'all' {
  return mesh === undefined || namespaces === 'all' ? namespaces : [...new Set([...namespaces, namespace])];
}

/** Resolves when the promise does or the signal aborts. */
async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([promise, aborted]);
}

/** What was found in an earlier version is used again where the data are the same. */
function decodeSecret(
  object: unknown,
  secrets: Store<SecretRecord>,
  roots: () => readonly ParsedCertificate[],
): { key: string; value: SecretRecord } {
  const raw = readSecret(object);
  const key = `${raw.namespace}/${raw.name}`;
  return { key, value: inspectSecret(raw, secrets.get(key), { roots }) };
}

function rootsOf(catalogue: AuthorityCatalogue): ParsedCertificate[] {
  return catalogue
    .all()
    .flatMap(({ certificates }) =>
      certificates.flatMap(({ role, certificate }) => (role === 'Root' ? [certificate] : [])),
    );
}

function decodeNamespace(object: unknown): { key: string; value: NamespaceRecord } {
  const metadata = asRecord(asRecord(object)['metadata']);
  const value: NamespaceRecord = {
    resourceVersion: String(metadata['resourceVersion']),
    labels: { ...stringMap(metadata['labels']) },
    terminating: metadata['deletionTimestamp'] !== undefined,
  };
  return { key: String(metadata['name']), value };
}

/** Each with the first of its Secrets by name: what is told must not hang on the order in which they came. */
function rootsInUse(secrets: Store<SecretRecord>, authority: string): RootInUse[] {
  const roots = new Map<string, string>();
  for (const [key, { authority: signedBy, content }] of secrets.entries()) {
    if (signedBy !== authority || content.state !== 'sound') continue;
    for (const fingerprint of content.roots.split(',')) {
      const first = roots.get(fingerprint);
      if (fingerprint !== '' && (first === undefined || key < first)) roots.set(fingerprint, key);
    }
  }
  return [...roots].map(([fingerprint, secret]) => ({ fingerprint, secret }));
}

/** One Secret for each chain, the most frequent first: whoever may write a Secret may put a chain of their own beside a leaf. */
function issuersInUse(secrets: Store<SecretRecord>, authority: string): IssuerInUse[] {
  type Found = IssuerInUse['secrets'][number];
  const chains = new Map<string, { readonly issuerId: string; readonly secret: Found; count: number }>();
  for (const [key, { authority: signedBy, content, resourceVersion }] of secrets.entries()) {
    if (signedBy !== authority || content.state !== 'sound') continue;
    const { issuerId } = content.leaf;
    const chain = chains.get(`${issuerId} ${content.chainDigest}`);
    if (chain !== undefined) chain.count += 1;
    else chains.set(`${issuerId} ${content.chainDigest}`, { issuerId, secret: { key, resourceVersion }, count: 1 });
  }
  const byIssuer = new Map<string, Found[]>();
  for (const { issuerId, secret } of [...chains.values()].sort((a, b) => b.count - a.count))
    byIssuer.set(issuerId, [...(byIssuer.get(issuerId) ?? []), secret]);
  return [...byIssuer].map(([issuerId, found]) => ({ issuerId, secrets: found }));
}
