import { expect, test } from 'vitest';
import { certificateAuthorityKind, mtlsPolicyKind, mtlsRolloutKind, workloadCertificateKind } from './kinds.ts';
import { AUTHORITY_FINALIZER, annotations, labels } from './labels.ts';

test.each([
  [workloadCertificateKind.path(), '/apis/mtls-operator.io/v1alpha1/workloadcertificates'],
  [workloadCertificateKind.path('shop'), '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates'],
  [
    workloadCertificateKind.path('shop', 'web'),
    '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates/web',
  ],
  [
    workloadCertificateKind.path('shop', 'web', 'status'),
    '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates/web/status',
  ],
  [
    mtlsPolicyKind.path('shop', 'default', 'status'),
    '/apis/mtls-operator.io/v1alpha1/namespaces/shop/mtlspolicies/default/status',
  ],
  [mtlsRolloutKind.path('shop'), '/apis/mtls-operator.io/v1alpha1/namespaces/shop/mtlsrollouts'],
  [certificateAuthorityKind.path(), '/apis/mtls-operator.io/v1alpha1/certificateauthorities'],
  [
    certificateAuthorityKind.path(undefined, 'default', 'status'),
    '/apis/mtls-operator.io/v1alpha1/certificateauthorities/default/status',
  ],
])('paths are those of the API server: %s', (path, expected) => {
  expect(path).toBe(expected);
});

test('a name from outside cannot climb out of its path', () => {
  expect(workloadCertificateKind.path('../x', 'a/b?c')).toBe(
    '/apis/mtls-operator.io/v1alpha1/namespaces/..%2Fx/workloadcertificates/a%2Fb%3Fc',
  );
});

test('every key of ours is distinct and under our prefix', () => {
  const keys = [...Object.values(labels), ...Object.values(annotations), AUTHORITY_FINALIZER];
  expect(keys.filter((key) => !key.startsWith('mtls-operator.io/'))).toEqual([]);
  expect(new Set(Object.values(annotations)).size).toBe(Object.keys(annotations).length);
});
