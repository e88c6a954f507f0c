/** The controller before an API server of which as much is there as certificates of the mesh ask of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { labels } from '../api/index.ts';
import { type CertificateRecord, decodeCertificate } from '../certificate/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import {
  ApiError,
  type ApiRequest,
  asRecord,
  createMetrics,
  type EventInput,
  FakeClock,
  type StatusCause,
  Store,
  silentLog,
  type Transport,
} from '../kube/index.ts';
import { pod } from './builders.fixture.ts';
import { IdentityController } from './controller.ts';
import { sidecarCertificate } from './wanted.ts';

const HOUR = 3_600_000;
const WEB = 'shop/mtls-proxy-web';
const COLLECTION = '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates';
const OBJECT = `${COLLECTION}/mtls-proxy-web`;

type Answer = (request: ApiRequest) => unknown;

/** The parts around the controller; what it asks for is kept, and answered by `answers`. */
class Stage {
  readonly clock = new FakeClock();
  readonly certificates = new Store<CertificateRecord>();
  readonly pods = new Store<PodRecord>();
  readonly asked: ApiRequest[] = [];
  readonly events: EventInput[] = [];
  readonly stopper = new AbortController();
  readonly podsSynced = Promise.withResolvers<void>();
  readonly terminating = new Set<string>();
  answer: Answer = () => {
    throw new Error('not expected');
  };
  #version = 10;
  #running: Promise<void> | undefined;
  readonly #certificateWriter = this.certificates.writer();
  readonly #podWriter = this.pods.writer();

  start(): void {
    const transport: Transport = {
      request: async (request) => {
        this.asked.push(request);
        return this.answer(request);
      },
      // biome-ignore lint/correctness/useYield: nothing is watched
      async *watch() {
        throw new Error('nothing is watched');
      },
      close: async () => {},
    };
    const controller = new IdentityController({
      transport,
      clock: this.clock,
      log: silentLog,
      metrics: createMetrics({ process: false }),
      events: { record: (event) => this.events.push(event), drain: async () => {} },
      certificates: this.certificates,
      pods: this.pods,
      isTerminating: (namespace) => this.terminating.has(namespace),
      always: [],
      retention: HOUR,
    });
    this.#running = controller.run(this.stopper.signal, this.podsSynced.promise);
  }

  async stop(): Promise<void> {
    this.stopper.abort();
    await this.clock.advance(30_000);
    await this.#running;
  }

  /** As the API server stores it. */
  object(spec: object = sidecarCertificate('shop', 'web').written, metadata: object = {}): object {
    this.#version += 1;
    return {
      metadata: {
        namespace: 'shop',
        name: 'mtls-proxy-web',
        uid: 'u',
        resourceVersion: String(this.#version),
        generation: this.#version,
        creationTimestamp: '2030-01-01T00:00:00Z',
        labels: { [labels.managedBy]: 'operator' },
        ...metadata,
      },
      spec,
    };
  }

  seeCertificate(object: object): void {
    const { key, value } = decodeCertificate(object);
    this.#certificateWriter.apply(key, value);
  }

  loseCertificate(): void {
    this.#version += 1;
    this.#certificateWriter.applyDeleted(WEB, String(this.#version));
  }

  seePod(name: string, record: PodRecord): void {
    this.#version += 1;
    this.#podWriter.apply(`shop/${name}`, { ...record, resourceVersion: String(this.#version) });
  }

  losePod(name: string): void {
    this.#version += 1;
    this.#podWriter.applyDeleted(`shop/${name}`, String(this.#version));
  }

  get calls(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path}`);
  }
}

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
  stage.start();
});

afterEach(() => stage.stop());

const made: Answer = ({ body }) => {
  const { metadata, spec } = asRecord(body);
  return stage.object(asRecord(spec), asRecord(metadata));
};

const refusal = (status: number, reason: string, causes: readonly StatusCause[] = [], about?: string): Answer => {
  return () => {
    throw new ApiError({ status, reason, message: reason, causes, about });
  };
};

describe('a certificate', () => {
  test('is made as soon as a pod is seen, though not all pods are known, and once however many there are', async () => {
    stage.answer = made;
    stage.seePod('web-1', pod('web'));
    stage.seePod('web-2', pod('web'));
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([`POST ${COLLECTION}`]);
    expect(stage.asked[0]?.body).toMatchObject({
      metadata: { name: 'mtls-proxy-web', labels: { [labels.managedBy]: 'operator' } },
      spec: sidecarCertificate('shop', 'web').written,
    });
    stage.podsSynced.resolve();
    await stage.clock.advance(10 * HOUR);
    expect(stage.calls).toHaveLength(1);
  });

  test('is made again where somebody deletes it', async () => {
    stage.answer = made;
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    stage.loseCertificate();
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([`POST ${COLLECTION}`, `POST ${COLLECTION}`]);
  });

  test('that is there already, which the cache does not know, is taken as it is', async () => {
    stage.answer = (request) => (request.method === 'POST' ? refusal(409, 'AlreadyExists')(request) : stage.object());
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([`POST ${COLLECTION}`, `GET ${OBJECT}`]);
    expect(stage.certificates.get(WEB)?.managed).toBe(true);
  });

  test('is put right with its whole spec, bound to the version that was edited', async () => {
    stage.seeCertificate(stage.object());
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([]);
    const edited = stage.object({ secretName: 'mtls-proxy-web', dnsNames: ['web.shop.svc'] });
    stage.answer = () => stage.object();
    stage.seeCertificate(edited);
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([`PATCH ${OBJECT}`]);
    const { resourceVersion, uid } = asRecord(asRecord(edited)['metadata']);
    expect(stage.asked[0]?.body).toEqual([
      { op: 'replace', path: '/metadata/uid', value: uid },
      { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'replace', path: '/spec', value: sidecarCertificate('shop', 'web').written },
    ]);
    expect(stage.events.map(({ reason }) => reason)).toEqual(['Corrected']);
  });

  test('is fought over no more than once a minute, and then put right all the same', async () => {
    stage.seePod('web-1', pod('web'));
    stage.answer = () => stage.object();
    const edit = (): void =>
      stage.seeCertificate(stage.object({ ...sidecarCertificate('shop', 'web').written, duration: '12h' }));
    for (let round = 0; round < 20; round += 1) {
      edit();
      await stage.clock.advance(100);
    }
    const patches = (): number => stage.calls.filter((call) => call.startsWith('PATCH')).length;
    expect(patches()).toBe(3);
    await stage.clock.advance(120_000);
    expect(patches()).toBe(4);
    expect(stage.certificates.get(WEB)?.spec).not.toContain('12h');
  });

  test('of somebody’s own is left alone, and that is told each time that it comes to stand in the way', async () => {
    const metadata = { labels: {} };
    const foreign = stage.object({ secretName: 'mine', dnsNames: ['web.shop.svc'] }, metadata);
    stage.seeCertificate(foreign);
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    stage.losePod('web-1');
    await stage.clock.advance(0);
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    expect(stage.calls).toEqual([]);
    expect(stage.events.map(({ reason }) => reason)).toEqual(['NameTaken', 'NameTaken']);
    stage.seeCertificate(stage.object({ secretName: 'mine', dnsNames: ['b.shop.svc'] }, metadata));
    await stage.clock.advance(0);
    expect(stage.events).toHaveLength(3);
    expect(stage.events[0]?.note).toContain('its secretName is not "mtls-proxy-web". Delete it');
  });
});

describe('what cannot be made', () => {
  test.each<[string, Answer]>([
    ['is being removed', refusal(403, 'Forbidden', [{ reason: 'NamespaceTerminating', field: '', message: '' }])],
    ['is gone', refusal(404, 'NotFound', [], 'namespaces/shop')],
  ])('because its namespace %s is no fault, and is not tried again', async (_, answer) => {
    stage.answer = answer;
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(HOUR);
    expect(stage.calls).toHaveLength(1);
    expect(stage.events).toEqual([]);
  });

  test('because its namespace is known to be on its way out is not even tried', async () => {
    stage.terminating.add('shop');
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(HOUR);
    expect(stage.calls).toEqual([]);
  });

  test('because it is refused is told of the service account, and tried until it succeeds', async () => {
    stage.answer = refusal(403, 'exceeded quota');
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(5);
    expect(stage.events[0]).toMatchObject({
      regarding: { kind: 'ServiceAccount', namespace: 'shop', name: 'web' },
      reason: 'IdentityNotMade',
      note: expect.stringContaining('exceeded quota'),
    });
    stage.answer = made;
    await stage.clock.advance(60_000);
    expect(stage.certificates.has(WEB)).toBe(true);
  });
});

describe('a certificate that no pod needs', () => {
  const listing =
    (...items: readonly object[]): Answer =>
    (request) => {
      if (request.method === 'DELETE') return {};
      return { metadata: {}, items };
    };
  const withSidecar = {
    metadata: { namespace: 'shop', name: 'late', resourceVersion: '1' },
    spec: { serviceAccountName: 'web', initContainers: [{ name: 'mtls-proxy' }] },
  };

  async function unusedFrom(): Promise<void> {
    stage.podsSynced.resolve();
    stage.seeCertificate(stage.object());
    stage.seePod('web-1', pod('web'));
    await stage.clock.advance(0);
    stage.losePod('web-1');
    await stage.clock.advance(0);
  }

  test('is removed after an hour, when the API server says, too, that there is no pod', async () => {
    await unusedFrom();
    stage.answer = listing({ ...withSidecar, spec: { serviceAccountName: 'web' } });
    await stage.clock.advance(HOUR - 1);
    expect(stage.calls).toEqual([]);
    await stage.clock.advance(1);
    expect(stage.calls).toEqual(['GET /api/v1/namespaces/shop/pods', `DELETE ${OBJECT}`]);
    expect(stage.asked[0]?.query?.['fieldSelector']).toBe('spec.serviceAccountName=web');
    const { resourceVersion } = stage.certificates.get(WEB) ?? {};
    expect(stage.asked[1]?.body).toMatchObject({ preconditions: { uid: 'u', resourceVersion } });
  });

  test('is not removed any sooner where the clock is set forward, nor later where it is set back', async () => {
    await unusedFrom();
    stage.answer = listing();
    stage.clock.jump(10 * HOUR);
    await stage.clock.advance(HOUR - 1);
    expect(stage.calls).toEqual([]);
    stage.clock.jump(-20 * HOUR);
    await stage.clock.advance(1);
    expect(stage.calls).toHaveLength(2);
  });

  test('has its hour anew when a pod came in between', async () => {
    await unusedFrom();
    stage.answer = listing();
    await stage.clock.advance(HOUR - 1);
    stage.seePod('web-2', pod('web'));
    await stage.clock.advance(HOUR);
    stage.losePod('web-2');
    await stage.clock.advance(HOUR - 1);
    expect(stage.calls).toEqual([]);
    await stage.clock.advance(1);
    expect(stage.calls).toHaveLength(2);
  });

  test('is kept where the API server has a pod that the watch has not told of', async () => {
    await unusedFrom();
    stage.answer = listing(withSidecar);
    await stage.clock.advance(HOUR);
    expect(stage.calls).toEqual(['GET /api/v1/namespaces/shop/pods']);
    stage.answer = listing();
    await stage.clock.advance(3 * HOUR);
    expect(stage.calls.at(-1)).toBe(`DELETE ${OBJECT}`);
  });

  test('is kept where the pod is on a later page', async () => {
    await unusedFrom();
    stage.answer = ({ query }) =>
      query?.['continue'] === 'next'
        ? { metadata: {}, items: [withSidecar] }
        : { metadata: { continue: 'next' }, items: [] };
    await stage.clock.advance(HOUR);
    expect(stage.calls.every((call) => call.startsWith('GET'))).toBe(true);
    expect(stage.calls).toHaveLength(2);
  });

  test('and of which a new leader knows nothing yet has its hour from then on, once all pods are known', async () => {
    stage.seeCertificate(stage.object());
    stage.answer = listing();
    await stage.clock.advance(10 * HOUR);
    expect(stage.calls).toEqual([]);
    stage.podsSynced.resolve();
    await stage.clock.advance(HOUR - 1);
    expect(stage.calls).toEqual([]);
    await stage.clock.advance(1);
    expect(stage.calls).toHaveLength(2);
  });

  test('is none of ours where the label was put on something else', async () => {
    stage.podsSynced.resolve();
    stage.seeCertificate(
      stage.object({ secretName: 'mtls-proxy-web', serviceAccountName: 'cart', outputs: [{ type: 'EnvoySDS' }] }),
    );
    await stage.clock.advance(10 * HOUR);
    expect(stage.calls).toEqual([]);
  });
});
