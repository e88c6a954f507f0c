/** One certificate and its workloads, before an API server of which as much is there as restarts ask of it. */
import { describe, expect, test } from 'vitest';
import { type CertificateRecord, decodeCertificate, type SecretRecord } from '../certificate/index.ts';
import {
  ApiError,
  type ApiRequest,
  asRecord,
  createMetrics,
  FakeClock,
  Store,
  silentLog,
  type Transport,
} from '../kube/index.ts';
import { createRestartMetrics } from './metrics.ts';
import { createRestartReconciler } from './reconcile.ts';
import { Turns } from './turns.ts';

const KEY = 'shop/web';
const STATUS = '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates/web/status';
const START = new FakeClock().now();
const HOUR = 3_600_000;

type Json = Record<string, unknown>;

const pathOf = (name: string): string => `/apis/apps/v1/namespaces/shop/deployments/${name}`;

const deployment = (name: string): Json => ({
  metadata: {
    name,
    uid: `u-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: new Date(START - HOUR).toISOString(),
  },
  spec: { replicas: 1, template: { metadata: { annotations: {} } } },
  status: { observedGeneration: 99, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
});

const secretOf = (serialNumber: string, revision = 2): SecretRecord => ({
  resourceVersion: '2',
  uid: 's',
  type: 'kubernetes.io/tls',
  immutable: false,
  holder: 'web',
  labelled: true,
  adopt: undefined,
  authority: 'default',
  revision,
  renewedAt: undefined,
  metadataDigest: '',
  ownerUid: '',
  foreign: false,
  dataDigest: serialNumber,
  content: {
    state: 'sound',
    leaf: {
      serialNumber,
      notBefore: START - 60_000,
      notAfter: START + 24 * HOUR,
      profileDigest: '',
      issuerId: '',
    },
    keyEncoding: 'PKCS8',
    chainDigest: '',
    caDigest: '',
    roots: '',
    outputs: '',
  },
});

const condition = (type: string, status: 'True' | 'False', reason: string, message = ''): Json => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2029-12-31T00:00:00Z',
  observedGeneration: 1,
});
const ready = condition('Ready', 'True', 'Ready');
const judged = { serialNumber: 'NEW', conditions: [ready] };

function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Json = typeof target === 'object' && target !== null ? { ...asRecord(target) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

interface Options {
  readonly names?: readonly string[];
  readonly status?: object;
  readonly secret?: SecretRecord;
  /** What stands between a request and the API server: a webhook, RBAC. It may throw, or change the object that is stored. */
  readonly webhook?: (request: ApiRequest, stored: Json | undefined) => Json | undefined;
}

function cluster({
  names = ['web'],
  status = judged,
  secret = secretOf('NEW'),
  webhook = (_, stored) => stored,
}: Options = {}) {
  const clock = new FakeClock();
  const objects = new Map<string, Json>(names.map((name) => [pathOf(name), deployment(name)]));
  objects.set(STATUS, {
    metadata: {
      namespace: 'shop',
      name: 'web',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2029-12-31T00:00:00Z',
    },
    spec: {
      secretName: 'web',
      dnsNames: ['web.shop.svc'],
      restart: names.map((name) => ({ kind: 'Deployment', name })),
    },
    status,
  });
  const patches: string[] = [];
  let version = 1;
  const transport: Transport = {
    async request(request: ApiRequest) {
      const { method, path, body } = request;
      const before = objects.get(path);
      if (before === undefined) throw new ApiError({ status: 404, reason: 'NotFound', message: 'there is none' });
      if (method === 'GET') return webhook(request, before);
      version += 1;
      const changed = asRecord(merged(before, body));
      const metadata = { ...asRecord(changed['metadata']), resourceVersion: String(version) };
      const stored = webhook(request, { ...changed, metadata });
      if (stored !== undefined) objects.set(path, stored);
      patches.push(path);
      return stored;
    },
    // biome-ignore lint/correctness/useYield: nothing is watched
    async *watch() {
      throw new Error('nothing is watched');
    },
    close: async () => {},
  };
  const certificates = new Store<CertificateRecord>();
  const secrets = new Store<SecretRecord>();
  certificates.writer().apply(KEY, decodeCertificate(objects.get(STATUS)).value);
  const secretWriter = secrets.writer();
  secretWriter.apply(KEY, secret);
  const { registry } = createMetrics({ process: false });
  const turns = new Turns({ clock, limit: 2, onTurn: () => {} });
  turns.open();
  const reconcile = createRestartReconciler({
    transport,
    clock,
    log: silentLog,
    events: { record: () => {}, drain: async () => {} },
    certificates,
    secrets,
    turns,
    metrics: createRestartMetrics(registry, { waiting: () => 0, running: () => 0 }),
    quietly: (change) => change(),
  });
  return {
    clock,
    turns,
    reconcile: () => reconcile(KEY, new AbortController().signal),
    restarts: (name = 'web') => patches.filter((path) => path === pathOf(name)).length,
    restarted: (): Json | undefined => {
      const { conditions } = asRecord(asRecord(objects.get(STATUS))['status']);
      return (Array.isArray(conditions) ? conditions : []).map(asRecord).find(({ type }) => type === 'Restarted');
    },
    change: (path: string, patch: object) => objects.set(path, asRecord(merged(objects.get(path), patch))),
    replaceSecret: (replacement: SecretRecord) => secretWriter.apply(KEY, replacement),
  };
}

const unmarked = { spec: { template: { metadata: { annotations: null } } } };

describe('a workload whose pod template another writer puts back', () => {
  test('is restarted once, and told of', async () => {
    const { reconcile, restarts, restarted, change, clock } = cluster();
    for (let look = 0; look < 5; look += 1) {
      await reconcile();
      change(pathOf('web'), unmarked);
      await clock.advance(60_000);
    }
    expect(restarts()).toBe(1);
    expect(restarted()).toMatchObject({ status: 'False', reason: 'RestartUndone' });
  });

  test('after its pods have been replaced is done', async () => {
    const { reconcile, restarts, restarted, change } = cluster({ names: ['web', 'other'] });
    change(pathOf('other'), { spec: { paused: true } });
    await reconcile();
    await reconcile();
    change(pathOf('web'), unmarked);
    await reconcile();
    expect(restarts()).toBe(1);
    expect(restarted()).toMatchObject({ reason: 'WorkloadHeldBack', message: expect.not.stringContaining('"web"') });
  });

  test('in the very request, by a webhook, is told of at once', async () => {
    const { reconcile, restarts, restarted, turns } = cluster({
      webhook: ({ method, path }, stored) =>
        method === 'PATCH' && path === pathOf('web') ? asRecord(merged(stored, unmarked)) : stored,
    });
    for (let look = 0; look < 3; look += 1) await reconcile();
    expect(restarts()).toBe(1);
    expect(restarted()).toMatchObject({ reason: 'RestartUndone' });
    expect(turns.running).toBe(0);
  });
});

test('a workload that was restarted is done when its pods are new', async () => {
  const { reconcile, restarts, restarted } = cluster();
  await reconcile();
  expect(restarted()).toMatchObject({ reason: 'RestartInProgress' });
  await reconcile();
  expect(restarted()).toMatchObject({ status: 'True', reason: 'Restarted' });
  expect(restarts()).toBe(1);
});

describe('a workload that cannot be tried', () => {
  const broken = new ApiError({ status: 500, reason: 'InternalError', message: 'failed calling webhook "a.example"' });

  test('is told of, tried again, and keeps no other from its restart', async () => {
    const { reconcile, restarts, restarted, turns } = cluster({
      names: ['web', 'other'],
      webhook: ({ method, path }, stored) => {
        if (method === 'PATCH' && path === pathOf('web')) throw broken;
        return stored;
      },
    });
    await expect(reconcile()).rejects.toThrow(broken);
    expect(restarts('other')).toBe(1);
    expect(restarted()).toMatchObject({
      reason: 'RestartFailed',
      message: expect.stringMatching(/"web": could not be tried: .*a\.example.*"other": is being restarted/),
    });
    // No other turn is to be had at once: it has failed all the same.
    await expect(reconcile()).rejects.toThrow(broken);
    expect(restarted()).toMatchObject({ reason: 'RestartFailed' });
    expect(turns.running).toBe(0);
  });

  test('for it is no such workload is told of as well', async () => {
    const { reconcile, restarts, restarted, change } = cluster({ names: ['web', 'other'] });
    change(pathOf('web'), { spec: { replicas: 'many' } });
    await expect(reconcile()).rejects.toThrow();
    expect(restarts('other')).toBe(1);
    expect(restarted()).toMatchObject({ reason: 'RestartFailed' });
  });

  test('for it has changed meanwhile is tried again without a word', async () => {
    const { reconcile, restarted } = cluster({
      webhook: ({ method, path }, stored) => {
        if (method === 'PATCH' && path === pathOf('web'))
          throw new ApiError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
        return stored;
      },
    });
    await expect(reconcile()).rejects.toThrow('modified');
    expect(restarted()).toBeUndefined();
  });
});

describe('a certificate that the certificate controller has not judged', () => {
  test.each<[string, object]>([
    ['is in the Secret', { ...judged, serialNumber: 'OLD' }],
    ['is in the Secret at first', {}],
    ['has to be issued anew', { ...judged, conditions: [condition('Ready', 'False', 'AuthorityChanged')] }],
  ])('restarts nothing where it %s', async (_, status) => {
    const { reconcile, restarts, restarted } = cluster({ status });
    expect(await reconcile()).toEqual({});
    expect(restarts()).toBe(0);
    expect(restarted()).toBeUndefined();
  });
});

describe('the first certificate', () => {
  const first = secretOf('NEW', 1);

  test('restarts nothing', async () => {
    const { reconcile, restarts, restarted } = cluster({ secret: first });
    await reconcile();
    expect([restarts(), restarted()?.['reason']]).toEqual([0, 'Restarted']);
  });

  test('restarts nothing when it is looked at again, for the condition was lost or the spec has changed', async () => {
    const { reconcile, restarts, restarted } = cluster({
      secret: first,
      status: { ...judged, restartedSerialNumber: 'NEW' },
    });
    await reconcile();
    expect([restarts(), restarted()?.['reason']]).toEqual([0, 'Restarted']);
  });

  test('of a Secret that was made anew restarts what has run on another', async () => {
    const { reconcile, restarts } = cluster({
      secret: first,
      status: { ...judged, restartedSerialNumber: 'OLD' },
    });
    await reconcile();
    expect(restarts()).toBe(1);
  });
});

test('what was said of an earlier certificate, and has been put back, is said anew', async () => {
  const stale = condition('Restarted', 'True', 'Restarted', 'no pod is from before certificate OLD');
  const { reconcile, restarted, change } = cluster({
    status: { ...judged, restartedSerialNumber: 'NEW', conditions: [ready, stale] },
  });
  change(pathOf('web'), {
    spec: { template: { metadata: { annotations: { 'restarted-for.mtls-operator.io/web': 'NEW' } } } },
  });
  await reconcile();
  expect(restarted()).toMatchObject({ status: 'True', message: expect.stringContaining('NEW') });
});

describe('a workload for which the API server refuses', () => {
  test.each<[string, string, string, RegExp]>([
    [
      'the permission is told of with what to set',
      'deployments.apps "web" is forbidden: User "operator" cannot patch resource "deployments" in API group "apps" in the namespace "shop"',
      'RestartForbidden',
      /set restart\.enabled in its Helm chart/,
    ],
    [
      'a restart by a webhook is told of in the webhook’s words',
      'admission webhook "a.example" denied the request: no restarts on Fridays',
      'RestartRefused',
      /denied the request: no restarts on Fridays$/,
    ],
  ])('%s', async (_, message, reason, told) => {
    const { reconcile, restarted } = cluster({
      webhook: ({ method, path }, stored) => {
        if (method === 'PATCH' && path === pathOf('web'))
          throw new ApiError({ status: 403, reason: 'Forbidden', message });
        return stored;
      },
    });
    await reconcile();
    expect(restarted()).toMatchObject({ reason, message: expect.stringMatching(told) });
  });
});
