import { describe, expect, test } from 'vitest';
import { ApiError } from './errors.ts';
import { createEventRecorder, type EventInput } from './events.ts';
import { FakeClock } from './fakeClock.ts';
import { property, stringAt } from './json.ts';
import { silentLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import type { ApiRequest, Transport } from './transport.ts';

const web: EventInput = {
  regarding: {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    namespace: 'shop',
    name: 'web',
    uid: 'u1',
  },
  type: 'Warning',
  reason: 'SecretConflict',
  action: 'Issue',
  note: 'the Secret is not ours',
};

function make(answer: (request: ApiRequest) => Promise<unknown> = async () => ({})) {
  const clock = new FakeClock();
  const requests: ApiRequest[] = [];
  const transport: Transport = {
    request: (request) => {
      requests.push(request);
      return answer(request);
    },
    watch: () => {
      throw new Error('not here');
    },
    close: async () => {},
  };
  const recorder = createEventRecorder({
    transport,
    clock,
    log: silentLog,
    metrics: createMetrics({ process: false }),
    reportingController: 'mtls-operator.io/controller',
    reportingInstance: 'pod-1',
  });
  const settled = () => recorder.drain(new AbortController().signal);
  return { clock, requests, recorder, settled };
}

const noteOf = (request: ApiRequest | undefined): string => stringAt(request?.body, 'note') ?? '';

describe('an event', () => {
  test('is one that events.k8s.io/v1 takes, in the namespace of its object', async () => {
    const { requests, recorder, settled, clock } = make();
    recorder.record(web);
    await settled();
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      method: 'POST',
      path: '/apis/events.k8s.io/v1/namespaces/shop/events',
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { namespace: 'shop', name: expect.stringMatching(/^web\.[0-9a-f]{16}$/) },
        eventTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
        type: 'Warning',
        reason: 'SecretConflict',
        action: 'Issue',
        reportingController: 'mtls-operator.io/controller',
        reportingInstance: 'pod-1',
        regarding: web.regarding,
      },
    });
  });

  test('about a cluster-scoped object goes to the namespace default', async () => {
    const { requests, recorder, settled } = make();
    recorder.record({ ...web, regarding: { apiVersion: 'v1', kind: 'CertificateAuthority', name: 'default' } });
    await settled();
    expect(requests[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events');
  });

  test('has a note of at most 1,024 bytes, and no half character at its end', async () => {
    const { requests, recorder, settled } = make();
    recorder.record({ ...web, note: 'ü🎈'.repeat(1_000) });
    await settled();
    const note = noteOf(requests[0]);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
    expect(note).not.toContain('\ufffd');
    expect(note.endsWith('…')).toBe(true);
  });

  test.each(['a'.repeat(253), 'system:node:x', 'a.b-', 'UPPER_case'])(
    'about an object called %s has a valid name',
    async (name) => {
      const { requests, recorder, settled } = make();
      recorder.record({ ...web, regarding: { ...web.regarding, name } });
      await settled();
      const event = stringAt(property(requests[0]?.body, 'metadata'), 'name') ?? '';
      expect(event).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
      expect(event.length).toBeLessThanOrEqual(253);
    },
  );
});

describe('a repetition', () => {
  test('counts up the series: written the first time at once, then once a minute', async () => {
    const { requests, recorder, settled, clock } = make();
    for (let i = 0; i < 200; i++) {
      recorder.record(web);
      await clock.advance(1_000);
    }
    await settled();
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'PATCH', 'PATCH', 'PATCH']);
    const counts = requests.slice(1).map(({ body }) => property(property(body, 'series'), 'count'));
    expect(counts).toEqual([2, 62, 122, 182]);
  });

  test('after the event was deleted is an event again', async () => {
    const { requests, recorder, settled, clock } = make(async ({ method }) => {
      if (method === 'PATCH') throw new ApiError({ status: 404, reason: 'NotFound', message: 'gone' });
      return {};
    });
    recorder.record(web);
    await settled();
    await clock.advance(60_000);
    recorder.record(web);
    await settled();
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
  });

  test('after six quiet minutes is an event of its own', async () => {
    const { requests, recorder, settled, clock } = make();
    recorder.record(web);
    await settled();
    await clock.advance(400_000);
    recorder.record(web);
    await settled();
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'POST']);
  });
});

describe('limits', () => {
  test('one object has 25 events at once, then one in five minutes', async () => {
    const { requests, recorder, settled, clock } = make();
    for (let i = 0; i < 40; i++) recorder.record({ ...web, note: `attempt ${i}` });
    await settled();
    expect(requests).toHaveLength(25);
    await clock.advance(300_000);
    for (let i = 0; i < 40; i++) recorder.record({ ...web, note: `later ${i}` });
    await settled();
    expect(requests).toHaveLength(26);
  });

  test('ten thousand objects that fail at once make a hundred events', async () => {
    const { requests, recorder, settled } = make();
    for (let i = 0; i < 10_000; i++) recorder.record({ ...web, regarding: { ...web.regarding, name: `web-${i}` } });
    await settled();
    expect(requests).toHaveLength(100);
  });
});

describe('faults', () => {
  test('a refusal loses the event, and nothing else', async () => {
    let first = true;
    const { requests, recorder, settled } = make(async () => {
      if (first) {
        first = false;
        throw new ApiError({ status: 403, reason: 'Forbidden', message: 'the namespace is being terminated' });
      }
      return {};
    });
    recorder.record(web);
    recorder.record({ ...web, reason: 'Other' });
    await settled();
    expect(requests).toHaveLength(2);
  });

  test('an event that exists already was written by a try whose answer was lost', async () => {
    const { recorder, settled, requests } = make(async () => {
      throw new ApiError({ status: 409, reason: 'AlreadyExists', message: 'exists' });
    });
    recorder.record(web);
    await settled();
    expect(requests).toHaveLength(1);
  });

  test('draining ends with its signal, though the API server never answers', async () => {
    const { recorder } = make(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    recorder.record(web);
    const stopper = new AbortController();
    const drained = recorder.drain(stopper.signal);
    stopper.abort();
    await drained;
  });
});
