/** What only an API server does that answers strangely, or not at all; the rest runs against a real one (test/certificate). */
import { beforeAll, describe, expect, test } from 'vitest';
import { AUTHORITY_FINALIZER } from '../api/index.ts';
import {
  ApiError,
  type ApiRequest,
  type EventInput,
  Store,
  silentLog,
  systemClock,
  TransportError,
} from '../kube/index.ts';
import { DAY, makeCa, type TestCa } from './builders.fixture.ts';
import { generationSecret, type Role } from './generation.ts';
import type { IssuerInUse } from './issuerSearch.ts';
import { createAuthorityReconciler } from './reconcile.ts';
import { type AuthorityRecord, type CaSecretRecord, decodeAuthority, decodeCaSecret } from './store.ts';
import { AuthorityCatalogue } from './view.ts';

const now = Date.now();
const NAMESPACE = 'mtls-system';
let root: TestCa;
let present: TestCa;
let due: TestCa;
let ended: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root', notBefore: now - 400 * DAY, notAfter: now + 3000 * DAY });
  const below = async (name: string, from: number, until: number) =>
    await makeCa({ name, issuer: root, notBefore: now + from * DAY, notAfter: now + until * DAY });
  present = await below('default issuing 2', -60, 700);
  due = await below('default issuing 1', -300, 50);
  ended = await below('default issuing 1', -200, -1);
});

let resourceVersion = 100;

function secretOf(role: Role, number: number, { certificate, key }: TestCa): object {
  const whose = { namespace: NAMESPACE, authority: 'default', authorityUid: 'u', role, number };
  const made = generationSecret({ ...whose, certificate, key, rootPem: root.certificate.pem, now });
  return stored(made);
}

/** As the API server gives it back. */
function stored(body: unknown): object {
  resourceVersion += 1;
  const { metadata, ...rest } = body as { metadata: object };
  return { ...rest, metadata: { uid: `u-${resourceVersion}`, ...metadata, resourceVersion: String(resourceVersion) } };
}

type Answer = (request: ApiRequest) => unknown;

interface Scene {
  readonly secrets: readonly object[];
  /** Keys as in `POST secrets`, `POST secrets?dryRun` or `GET secrets/web`; what is missing or undefined is answered as an API server does. */
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly authority?: { readonly metadata?: object; readonly spec?: object; readonly status?: object };
  readonly issuersInUse?: () => readonly IssuerInUse[];
  /** WorkloadCertificates that the API server has and the cache does not. */
  readonly users?: () => readonly object[];
}

function setUp({ secrets, answers = {}, authority, issuersInUse = () => [], users = () => [] }: Scene) {
  const requests: string[] = [];
  const stock = [...secrets];
  const events: EventInput[] = [];
  const authorities = new Store<AuthorityRecord>();
  const caSecrets = new Store<CaSecretRecord>();
  const catalogue = new AuthorityCatalogue();
  let object = stored({
    metadata: {
      name: 'default',
      uid: 'u-1',
      generation: 1,
      finalizers: [AUTHORITY_FINALIZER],
      ...authority?.metadata,
    },
    spec: { trustDomain: 'cluster.local', selfSigned: {}, ...authority?.spec },
    status: authority?.status ?? {},
  });
  const observe = () => {
    const { key, value } = decodeAuthority(object);
    authorities.observe(key, value);
  };
  observe();
  for (const secret of secrets) {
    const { key, value } = decodeCaSecret(secret);
    caSecrets.observe(key, value);
  }
  const usual: Answer = ({ method, path, body, query }) => {
    if (path.includes('certificateauthorities')) {
      const { metadata, status } = body as { metadata?: object; status?: object };
      const before = object as { metadata: object; status: object };
      object = stored({
        ...before,
        metadata: { ...before.metadata, ...metadata },
        status: { ...before.status, ...status },
      });
      return object;
    }
    // Go writes an empty list as null.
    if (path.endsWith('/workloadcertificates')) return { metadata: {}, items: users() };
    if (method === 'GET') return { items: stock.length === 0 ? null : [...stock] };
    if (query?.['dryRun'] !== undefined) return { metadata: { creationTimestamp: new Date(now).toISOString() } };
    const made = stored(body);
    stock.push(made);
    return made;
  };
  let passed = 0;
  const clock = {
    ...systemClock,
    now: () => now + passed,
    monotonic: () => passed,
    pass: (ms: number) => (passed += ms),
  };
  const reconcile = createAuthorityReconciler({
    transport: {
      request: async (request) => {
        const { method, path, query } = request;
        const last = path.split('/').slice(-2).join('/').replace(`${NAMESPACE}/`, '');
        const what = `${method} ${last}${query?.['dryRun'] === undefined ? '' : '?dryRun'}`;
        requests.push(what);
        return answers[what]?.(request) ?? usual(request);
      },
      watch: () => {
        throw new Error('nobody watches here');
      },
      close: async () => {},
    },
    clock,
    log: silentLog,
    events: { record: (event) => events.push(event), drain: async () => {} },
    operatorNamespace: NAMESPACE,
    namespaces: 'all',
    authorities,
    caSecrets,
    catalogue,
    usersOf: () => [],
    rootsInUse: () => [],
    issuersInUse,
  });
  const look = () => reconcile('default', new AbortController().signal);
  const signer = () => catalogue.get('default')?.issuer?.certificate.fingerprint;
  return { clock, look, signer, requests, events, catalogue, object: () => object };
}

const refused = (status: number): Answer => {
  return () => {
    throw new ApiError({ status, reason: 'Refused', message: `status ${status}` });
  };
};
const silent: Answer = () => {
  throw new TransportError('deadline', 'no answer', { ambiguous: true });
};

describe('an authority with a CA that can sign signs', () => {
  test.each([
    ['the API server’s time cannot be had, since a webhook fails', 'POST secrets?dryRun', refused(500)],
    ['the API server’s time cannot be had, since there is no answer', 'POST secrets?dryRun', silent],
    ['the Secret of a CA that has ended cannot be removed', 'DELETE secrets/default-issuing-1', silent],
    ['the Secret of a CA that has ended has changed meanwhile', 'DELETE secrets/default-issuing-1', refused(409)],
  ])('although %s', async (_, what, answer) => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 1, ended), secretOf('Issuing', 2, present)];
    const { look, requests, signer } = setUp({ secrets, answers: { [what]: answer } });
    const { requeueAt } = await look();
    expect(requests).toContain(what);
    expect(signer()).toBe(present.certificate.fingerprint);
    // It is tried again.
    expect(requeueAt).toBeLessThanOrEqual(Date.now() + 3_600_000);
  });

  test('while nobody knows whether the next one was stored: that one does not', async () => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 1, due)];
    const { look, signer } = setUp({ secrets, answers: { 'POST secrets': silent } });
    await expect(look()).rejects.toThrow('no answer');
    expect(signer()).toBe(due.certificate.fingerprint);
  });

  test('although its finalizer cannot be written; its status is written all the same', async () => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 2, present)];
    const answers = {
      'PATCH certificateauthorities/default': (request: ApiRequest) =>
        JSON.stringify(request.body).includes('finalizers') ? refused(403)(request) : undefined,
    };
    const { look, signer, requests } = setUp({ secrets, answers, authority: { metadata: { finalizers: [] } } });
    await expect(look()).rejects.toThrow('status 403');
    expect(signer()).toBe(present.certificate.fingerprint);
    expect(requests).toContain('PATCH default/status');
  });

  test('although a Secret with a leaf of another CA cannot be read', async () => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 2, present)];
    const issuersInUse = () => [{ issuerId: 'unknown', secrets: [{ key: 'shop/web', resourceVersion: '1' }] }];
    const { look, signer, requests } = setUp({ secrets, issuersInUse, answers: { 'GET secrets/web': refused(403) } });
    await look();
    expect(requests).toContain('GET secrets/web');
    expect(signer()).toBe(present.certificate.fingerprint);
  });
});

describe('a refused CA', () => {
  test('is not made anew at every look', async () => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 1, due)];
    const { look, requests, events } = setUp({ secrets, answers: { 'POST secrets': refused(403) } });
    for (let looks = 0; looks < 3; looks += 1) expect((await look()).requeueAt).toBeLessThan(Date.now() + 30_000);
    expect(requests.filter((what) => what === 'POST secrets')).toHaveLength(1);
    expect(events.map(({ reason }) => reason)).toEqual(['GenerationRefused']);
  });
});

describe('a Secret in the way of a CA', () => {
  test('is not touched, is looked for again soon, and once it is gone the CA is made', async () => {
    const there = new ApiError({ status: 409, reason: 'AlreadyExists', message: 'is there' });
    let gone = false;
    const post: Answer = ({ body }) => {
      if (!gone) throw there;
      return stored(body);
    };
    const foreign = { metadata: { namespace: NAMESPACE, name: 'default-issuing-2', resourceVersion: '5' } };
    const answers = { 'POST secrets': post, 'GET secrets/default-issuing-2': () => foreign };
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 1, due)];
    const { clock, look, requests, events, signer } = setUp({ secrets, answers });
    const { requeueAt = 0 } = await look();
    expect(requeueAt - clock.now()).toBeLessThanOrEqual(30_000);
    expect(events.map(({ reason }) => reason)).toEqual(['GenerationBroken']);
    expect(signer()).toBe(due.certificate.fingerprint);
    expect(requests.filter((what) => /^(PUT|PATCH|DELETE) secrets/.test(what))).toEqual([]);
    gone = true;
    clock.pass(requeueAt - clock.now());
    await look();
    expect(signer()).not.toBe(due.certificate.fingerprint);
  });
});

describe('the CA Secrets', () => {
  test('are listed at the first look, whatever the cache has: it may lack the latest', async () => {
    const secrets = [secretOf('Root', 1, root), secretOf('Issuing', 2, present)];
    const newer = await makeCa({
      name: 'default issuing 3',
      issuer: root,
      notBefore: now - DAY,
      notAfter: now + 900 * DAY,
    });
    const listed = [...secrets, secretOf('Issuing', 3, newer)];
    const { look, requests, signer } = setUp({ secrets, answers: { 'GET secrets': () => ({ items: listed }) } });
    await look();
    expect(signer()).toBe(newer.certificate.fingerprint);
    await look();
    expect(requests.filter((what) => what === 'GET secrets')).toHaveLength(1);
  });

  test.each([
    ['without items', {}],
    ['of another kind', { items: { kind: 'Status' } }],
  ])('are not taken to be missing by an answer %s', async (_, answer) => {
    const { look, requests } = setUp({ secrets: [], answers: { 'GET secrets': () => answer } });
    await expect(look()).rejects.toThrow('no list');
    expect(requests).toEqual(['GET secrets']);
  });

  test('are made where the answer is an empty list', async () => {
    const { look, requests, catalogue } = setUp({ secrets: [] });
    await look();
    expect(requests.filter((what) => what === 'POST secrets')).toHaveLength(2);
    expect(catalogue.get('default')?.issuer?.certificate.subject).toContain('default issuing 1');
  });
});

describe('an authority whose spec cannot be read', () => {
  const spec = { maxCertificateDuration: 7 };

  test('and whose status the API server refuses is told of once', async () => {
    const answers = { 'PATCH default/status': refused(422) };
    const { look, events, requests } = setUp({ secrets: [], authority: { spec }, answers });
    for (let looks = 0; looks < 3; looks += 1) await look();
    expect(events.map(({ reason }) => reason)).toEqual(['SpecInvalid']);
    expect(requests).toEqual(['PATCH default/status']);
  });

  test('is told of once where the rest of its status cannot be read either', async () => {
    const { look, events, requests } = setUp({ secrets: [], authority: { spec, status: { phase: 'Strange' } } });
    // What was stored under the older schema is wrong in a place that is not written.
    const strange = { generations: 'none' };
    const second = setUp({ secrets: [], authority: { spec, status: strange } });
    for (let looks = 0; looks < 3; looks += 1) {
      await look();
      await second.look();
    }
    expect([requests, second.requests]).toEqual([['PATCH default/status'], ['PATCH default/status']]);
    expect([...events, ...second.events].map(({ reason }) => reason)).toEqual(['SpecInvalid', 'SpecInvalid']);
  });

  test('can be deleted', async () => {
    const metadata = { deletionTimestamp: '2030-01-01T00:00:00Z' };
    const { look, object, requests } = setUp({ secrets: [], authority: { metadata, spec } });
    await look();
    expect(requests).toEqual(['GET v1alpha1/workloadcertificates', 'PATCH certificateauthorities/default']);
    expect(object()).toMatchObject({ metadata: { finalizers: [] } });
  });

  test('is held by a WorkloadCertificate that the cache does not know', async () => {
    const metadata = { deletionTimestamp: '2030-01-01T00:00:00Z' };
    const users = () => [{ metadata: { namespace: 'shop', name: 'web' }, spec: { authorityRef: { name: 'default' } } }];
    const { look, object } = setUp({ secrets: [], authority: { metadata, spec }, users });
    expect((await look()).requeueAt).toBeDefined();
    expect(object()).toMatchObject({ metadata: { finalizers: [AUTHORITY_FINALIZER] } });
  });
});

describe('an authority that is deleted, and that the cache says nobody asks for', () => {
  const metadata = { deletionTimestamp: '2030-01-01T00:00:00Z' };
  const whole = () => [secretOf('Root', 1, root), secretOf('Issuing', 2, present)];
  const web = { metadata: { namespace: 'shop', name: 'web' }, spec: { authorityRef: { name: 'default' } } };

  test('is released once the API server says so too', async () => {
    const { look, object, requests } = setUp({ secrets: whole(), authority: { metadata } });
    await look();
    expect(object()).toMatchObject({ metadata: { finalizers: [] } });
    // Whatever else holds it, it is asked for no more.
    await look();
    expect(requests).toEqual(['GET v1alpha1/workloadcertificates', 'PATCH certificateauthorities/default']);
  });

  test('is held, goes on signing and says by whom where the API server knows one; gone again, that one holds nothing', async () => {
    const users = [web];
    const { clock, look, object, signer } = setUp({ secrets: whole(), authority: { metadata }, users: () => users });
    const { requeueAt = 0 } = await look();
    expect(object()).toMatchObject({ metadata: { finalizers: [AUTHORITY_FINALIZER] }, status: { phase: 'Deleting' } });
    expect(JSON.stringify(object())).toContain('Deletion waits for 1 WorkloadCertificates that ask for it: shop/web');
    expect(signer()).toBe(present.certificate.fingerprint);
    // The cache may never hear of it.
    expect(requeueAt - clock.now()).toBeLessThanOrEqual(30_000);
    users.pop();
    await look();
    expect(object()).toMatchObject({ metadata: { finalizers: [] } });
  });

  test.each([
    ['refuses to say', refused(403)],
    ['does not answer', silent],
  ])('is held while the API server %s', async (_, answer) => {
    const answers = { 'GET v1alpha1/workloadcertificates': answer };
    const { look, object } = setUp({ secrets: whole(), authority: { metadata }, answers });
    await expect(look()).rejects.toThrow();
    expect(object()).toMatchObject({ metadata: { finalizers: [AUTHORITY_FINALIZER] } });
  });
});
