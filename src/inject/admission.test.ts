import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AdmissionError, parseReview, reviewAnswer } from './admission.ts';

const review = (more: object = {}): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      namespace: 'shop',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      object: { metadata: { generateName: 'web-' }, spec: { containers: [{ name: 'main' }] } },
      ...more,
    },
  });

describe('a review', () => {
  test('is read', () => {
    expect(parseReview(review())).toMatchObject({
      uid: 'u',
      namespace: 'shop',
      pod: { spec: { containers: [{ name: 'main' }] } },
    });
  });

  test.each([
    ['is no JSON', '{', 'the body is no JSON'],
    ['is something else', '{}', 'no AdmissionReview of a pod'],
    ['is of another operation', review({ operation: 'UPDATE' }), 'asked about UPDATE of pods.'],
    [
      'is of another kind',
      review({ resource: { group: 'apps', version: 'v1', resource: 'deployments' } }),
      'deployments.apps',
    ],
    ['holds no pod', review({ object: { spec: {} } }), 'no AdmissionReview of a pod'],
  ])('that %s is refused', (_, body, message) => {
    expect(() => parseReview(body)).toThrow(AdmissionError);
    expect(() => parseReview(body)).toThrow(message);
  });

  test('of whatever content is read or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((object) => review({ object: JSON.parse(object) })),
        ),
        (body) => {
          try {
            parseReview(body);
          } catch (error) {
            expect(error).toBeInstanceOf(AdmissionError);
          }
        },
      ),
    );
  });
});

describe('the answer', () => {
  test.each([
    ['lets a pod be', { action: 'LeaveAlone', reason: 'NotInMesh' } as const, { uid: 'u', allowed: true }],
    [
      'warns',
      { action: 'LeaveAlone', reason: 'HostNetwork', warning: 'it stays without' } as const,
      { uid: 'u', allowed: true, warnings: ['it stays without'] },
    ],
    [
      'refuses',
      { action: 'Refuse', message: 'no' } as const,
      { uid: 'u', allowed: false, status: { code: 403, reason: 'Forbidden', message: 'no' } },
    ],
    [
      'changes nothing where nothing is to be changed',
      { action: 'Inject', patch: [] } as const,
      { uid: 'u', allowed: true },
    ],
    [
      'has the patch in base64',
      { action: 'Inject', patch: [{ op: 'add', path: '/spec/volumes', value: [] }] } as const,
      {
        uid: 'u',
        allowed: true,
        patchType: 'JSONPatch',
        patch: 'W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvdm9sdW1lcyIsInZhbHVlIjpbXX1d',
      },
    ],
  ])('%s', (_, decision, response) => {
    expect(reviewAnswer('u', decision)).toMatchObject({ response });
  });
});
