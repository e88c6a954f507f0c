import { describe, expect, test } from 'vitest';
import { decodeCertificate, readCertificate } from './certificateRecord.ts';

const object = (spec: object = {}, status?: object) => ({
  metadata: {
    namespace: 'shop',
    name: 'web',
    uid: 'u',
    resourceVersion: '7',
    generation: 2,
    creationTimestamp: '2030-01-01T00:00:00Z',
  },
  spec: { secretName: 'web-mtls', dnsNames: ['web.shop.svc'], ...spec },
  ...(status === undefined ? {} : { status }),
});
const condition = (type: string, status: string) => ({
  type,
  status,
  reason: type,
  message: 'm',
  lastTransitionTime: '2030-01-01T00:00:00Z',
});
const record = (spec?: object, status?: object) => decodeCertificate(object(spec, status)).value;

describe('the record of a WorkloadCertificate', () => {
  test('gives the object back, with the defaults of its schema', () => {
    const status = { revision: 3, conditions: [condition('Ready', 'True')] };
    expect(readCertificate(record({ duration: '24h' }, status))).toMatchObject({
      metadata: { namespace: 'shop', name: 'web', uid: 'u', generation: 2 },
      spec: { secretName: 'web-mtls', dnsNames: ['web.shop.svc'], duration: '24h', deletionPolicy: 'Retain' },
      status,
    });
  });

  test.each([
    ['no status yet', undefined, { ready: false, renewalTime: undefined }],
    ['Ready', { conditions: [condition('Issuing', 'False'), condition('Ready', 'True')] }, { ready: true }],
    ['not Ready', { conditions: [condition('Ready', 'False')] }, { ready: false }],
    ['a renewal time', { renewalTime: '2030-01-01T16:00:00Z' }, { renewalTime: Date.UTC(2030, 0, 1, 16) }],
    ['a renewal time that is none', { renewalTime: 'soon' }, { renewalTime: undefined }],
    ['pods that use the Secret', { consumers: { pods: 1 } }, { consumers: true }],
    ['no pods', { revision: 1 }, { consumers: false }],
    ['conditions that are none', { conditions: 'all is well' }, { ready: false, restarts: false }],
  ])('tells at a glance, with %s', (_, status, expected) => {
    expect(record({}, status)).toMatchObject(expected);
  });

  test.each([
    ['names none', {}, undefined, false],
    ['names one', { restart: [{ kind: 'Deployment', name: 'web' }] }, undefined, true],
    ['names none any more, and the status tells of some', {}, { conditions: [condition('Restarted', 'False')] }, true],
  ])('knows whether there are workloads to restart: its spec %s', (_, spec, status, expected) => {
    expect(record(spec, status).restarts).toBe(expected);
  });
});
