import { describe, expect, test } from 'vitest';
import { containerNames } from '../inject/index.ts';
import { meshedNamespaceOf, refusalOf } from './meshedPods.ts';

const release = { release: 'mtls', namespace: 'identity' };

function pod(metadata: object = {}, spec: object = {}, status: object = { phase: 'Running' }): object {
  return {
    metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '1', ...metadata },
    spec: { containers: [{ name: 'main' }], initContainers: [{ name: containerNames.proxy }], ...spec },
    status,
  };
}

describe('the operator is needed', () => {
  test.each([
    ['by a pod that runs with a sidecar', pod()],
    ['by one that has not been scheduled', pod({}, {}, { phase: 'Pending' })],
    ['by one whose labels say otherwise', pod({ labels: { 'mtls-operator.io/injection': 'disabled' } })],
    ['by one that cannot be read otherwise', { metadata: { namespace: 'shop' } }],
  ])('%s', (_, object) => {
    expect(meshedNamespaceOf(object)).toBe('shop');
  });

  test.each([
    ['by a pod without sidecar', pod({}, { initContainers: [{ name: 'prepare' }] })],
    [
      'by one that is labelled and has none',
      pod({ labels: { 'mtls-operator.io/injection': 'enabled' } }, { initContainers: [] }),
    ],
    ['by one with the network of its host', pod({}, { hostNetwork: true })],
    ['by one that has succeeded', pod({}, {}, { phase: 'Succeeded' })],
    ['by one that has failed', pod({}, {}, { phase: 'Failed' })],
    ['by one that is being deleted', pod({ deletionTimestamp: '2026-01-01T00:00:00Z' })],
  ])('not %s', (_, object) => {
    expect(meshedNamespaceOf(object)).toBeUndefined();
  });
});

describe('the refusal', () => {
  test('is none where no pod has a sidecar', () => {
    expect(refusalOf(new Map(), release)).toBeUndefined();
  });

  test('counts pods by namespace, the most first', () => {
    const text = refusalOf(
      new Map([
        ['bank', 2],
        ['shop', 30],
        ['attic', 2],
      ]),
      release,
    );
    expect(text).toContain('34 pods have a sidecar');
    expect(text).toContain('\n  shop: 30\n  attic: 2\n  bank: 2\n');
  });

  test('speaks of a single pod as such', () => {
    expect(refusalOf(new Map([['shop', 1]]), release)).toMatch(/^1 pod has a sidecar/);
  });

  test('names no more namespaces than one can look at', () => {
    const many = new Map(Array.from({ length: 50 }, (_, index) => [`ns-${String(index).padStart(2, '0')}`, 2]));
    const text = refusalOf(many, release) ?? '';
    expect(text.match(/^ {2}ns-\d\d: 2$/gm)).toHaveLength(20);
    expect(text).toContain('in 30 further namespaces: 60');
  });

  test('says what to do, with the names of the release', () => {
    const text = refusalOf(new Map([['shop', 1]]), release);
    expect(text).toContain('kubectl label namespace NAMESPACE mtls-operator.io/injection=disabled --overwrite');
    expect(text).toContain('kubectl rollout restart deployment,statefulset,daemonset -n NAMESPACE');
    expect(text).toContain('helm uninstall mtls -n identity --no-hooks');
    expect(text).toContain('helm rollback mtls REVISION -n identity');
  });
});
