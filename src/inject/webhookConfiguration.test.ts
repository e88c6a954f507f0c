import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { PodNamespace } from './asked.ts';
import { pod, settings } from './builders.fixture.ts';
import { inject } from './inject.ts';
import { webhookConfiguration } from './webhookConfiguration.ts';

const requirement = z.object({ key: z.string(), operator: z.enum(['In', 'NotIn']), values: z.array(z.string()) });
const selector = z.object({ matchExpressions: z.array(requirement) });
const shape = z.looseObject({
  webhooks: z.array(
    z.looseObject({
      name: z.string(),
      failurePolicy: z.string(),
      namespaceSelector: selector,
      objectSelector: selector,
    }),
  ),
});

const INJECTION = 'mtls-operator.io/injection';

function matches({ matchExpressions }: z.output<typeof selector>, labels: Readonly<Record<string, string>>): boolean {
  return matchExpressions.every(({ key, operator, values }) => {
    const value = labels[key];
    const within = value !== undefined && values.includes(value);
    return operator === 'In' ? within : !within;
  });
}

/** Entries by which the API server asks about the pod. */
function asked(namespace: PodNamespace, podLabels: Readonly<Record<string, string>>, everyNamespace: boolean) {
  const options = {
    name: 'mtls-operator',
    operatorNamespace: 'mtls-system',
    everyNamespace,
    clientConfig: { caBundle: '', url: 'https://webhook/inject' },
  };
  const labels = { ...namespace.labels, 'kubernetes.io/metadata.name': namespace.name };
  return shape
    .parse(webhookConfiguration(options))
    .webhooks.filter((one) => matches(one.namespaceSelector, labels) && matches(one.objectSelector, podLabels));
}

const values = [undefined, 'enabled', 'disabled'];
const cases = ['shop', 'mtls-system', 'kube-system'].flatMap((name) =>
  values.flatMap((ofNamespace) =>
    values.flatMap((ofPod) => [true, false].map((everyNamespace) => ({ name, ofNamespace, ofPod, everyNamespace }))),
  ),
);

const labelled = (value: string | undefined): Record<string, string> =>
  value === undefined ? {} : { [INJECTION]: value };

describe('the API server', () => {
  test.each(cases)('asks once about each pod that gets a sidecar, and about no other: %o', (one) => {
    const { name, ofNamespace, ofPod, everyNamespace } = one;
    const namespace = { name, labels: labelled(ofNamespace) };
    const of = pod({}, { labels: labelled(ofPod) });
    const { action } = inject(of, namespace, { ...settings, everyNamespace });
    expect(asked(namespace, labelled(ofPod), everyNamespace)).toHaveLength(action === 'Inject' ? 1 : 0);
  });

  test.each([
    ['a namespace that asked for the mesh', 'enabled', undefined, 'Fail'],
    ['a pod that asked for it', undefined, 'enabled', 'Fail'],
    ['whoever is in it since everybody is', undefined, undefined, 'Ignore'],
  ])('without an answer, does for %s as it should', (_, ofNamespace, ofPod, policy) => {
    const found = asked({ name: 'shop', labels: labelled(ofNamespace) }, labelled(ofPod), true);
    expect(found.map(({ failurePolicy }) => failurePolicy)).toEqual([policy]);
  });
});
