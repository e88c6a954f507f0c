import { describe, expect, test } from 'vitest';
import { asked } from './asked.ts';

const INJECTION = 'mtls-operator.io/injection';
const labelled = (value?: string) => (value === undefined ? {} : { [INJECTION]: value });
const outcome = (pod: string | undefined, namespace: string | undefined, everyNamespace: boolean, name = 'shop') => {
  const scope = { operatorNamespace: 'mtls-system', everyNamespace };
  const found = asked(labelled(pod), { name, labels: labelled(namespace) }, scope);
  return found.asked ? found.by : found.reason;
};

describe('a pod is asked to be in the mesh', () => {
  test.each([
    [undefined, 'enabled', false],
    ['enabled', undefined, false],
    ['enabled', 'disabled', false],
    ['enabled', 'disabled', true],
    [undefined, 'enabled', true],
  ])('by a label: pod %s, namespace %s, every namespace %s', (pod, namespace, everyNamespace) => {
    expect(outcome(pod, namespace, everyNamespace)).toBe('Label');
  });

  test.each([
    [undefined, undefined],
    ['yes', undefined],
    [undefined, 'Disabled'],
  ])('since everybody is, where nobody says otherwise: pod %s, namespace %s', (pod, namespace) => {
    expect(outcome(pod, namespace, true)).toBe('Default');
  });
});

describe('a pod is not asked', () => {
  test.each([
    [undefined, undefined, false, 'NotInMesh'],
    [undefined, 'disabled', true, 'NotInMesh'],
    [undefined, 'true', false, 'NotInMesh'],
    ['disabled', 'enabled', false, 'OptedOut'],
    ['disabled', undefined, true, 'OptedOut'],
  ])('with pod %s, namespace %s, every namespace %s: %s', (pod, namespace, everyNamespace, reason) => {
    expect(outcome(pod, namespace, everyNamespace)).toBe(reason);
  });

  test.each([
    ['mtls-system', 'OperatorNamespace'],
    ['kube-system', 'SystemNamespace'],
    ['kube-flannel', 'SystemNamespace'],
  ])('in %s, whatever its labels say', (name, reason) => {
    expect(outcome('enabled', 'enabled', true, name)).toBe(reason);
  });
});
