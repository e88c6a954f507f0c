import { describe } from 'vitest';
import { certificate, definition, deployment, soundFacts } from './builders.fixture.ts';
import type { NamedObject } from './facts.ts';
import { root, tells } from './judging.fixture.ts';

/** The objects with another in the place of the first. */
function withFirst(objects: readonly NamedObject[], change: (object: unknown) => unknown): NamedObject[] {
  return objects.map((one, index) =>
    index > 0 || !('value' in one.found) ? one : { ...one, found: { value: change(one.found.value) } },
  );
}

describe('of kinds and admission policies it tells', () => {
  const policies = () => soundFacts(root).admissionPolicies;
  const bindings = () => soundFacts(root).admissionBindings;
  const kinds = (change: Parameters<typeof definition>[1]) => ({
    definitions: withFirst(soundFacts(root).definitions, () => definition(0, change)),
  });
  const name = /workloadcertificates[.]mtls-operator[.]io/.source;
  tells([
    [
      'one that is not there',
      () => ({ definitions: withFirst(soundFacts(root).definitions, () => undefined) }),
      [new RegExp(`^error Kinds customresourcedefinition/${name}: it is not there`)],
    ],
    [
      'one that does not serve our version',
      () =>
        kinds((object) => {
          for (const version of object.spec.versions) version.served = false;
        }),
      [/^error Kinds .*does not serve version v1alpha1/],
    ],
    [
      'one that the API server does not serve, in its words',
      () =>
        kinds((object) => {
          object.status = { conditions: [{ type: 'NamesAccepted', status: 'False', message: 'taken by others' }] };
        }),
      [/^error Kinds .*: the API server does not serve it: taken by others/],
    ],
    [
      'one with another schema',
      () =>
        kinds((object) => {
          for (const { schema } of object.spec.versions) schema.openAPIV3Schema.description = 'another';
        }),
      [/^warning Kinds .*its schema is not that of this version/],
    ],
    [
      'that the operator is of another version, with which nothing is compared',
      () => ({
        ...kinds((object) => {
          for (const { schema } of object.spec.versions) schema.openAPIV3Schema.description = 'another';
        }),
        admissionPolicies: withFirst(policies(), () => ({ spec: { failurePolicy: 'Fail' } })),
        deployments: { value: [deployment('controller', { version: '0.2.0' }), deployment('proxy-api')] },
      }),
      [/^warning Kinds -: the operator is of version 0.2.0 and this plugin of 0.1.0/],
    ],
    [
      'a policy that is not there',
      () => ({ admissionPolicies: withFirst(policies(), () => undefined) }),
      [/^error AdmissionPolicies validatingadmissionpolicy\/serviceaccounts\S+: it is not there/],
    ],
    [
      'a policy that lets in what it cannot judge',
      () => ({ admissionPolicies: withFirst(policies(), () => ({ spec: { failurePolicy: 'Ignore' } })) }),
      [/^error AdmissionPolicies .*failurePolicy is not Fail/],
    ],
    [
      'a policy that is for another operator',
      () => ({
        operatorNamespace: 'elsewhere',
        webhookService: undefined,
        certificates: {
          value: [certificate('mtls-operator-proxy-api', 'elsewhere'), certificate('mtls-proxy-default', 'shop')],
        },
      }),
      [/^warning AdmissionPolicies .*does not say what that of this version says for this operator/],
    ],
    [
      'a binding that is not there',
      () => ({ admissionBindings: withFirst(bindings(), () => undefined) }),
      [/^error AdmissionPolicies validatingadmissionpolicybinding\/serviceaccounts\S+: it is not there/],
    ],
    [
      'a binding that only warns',
      () => ({
        admissionBindings: bindings().map((one, index) =>
          index > 0
            ? one
            : { ...one, found: { value: { spec: { policyName: one.name, validationActions: ['Warn'] } } } },
        ),
      }),
      [/^error AdmissionPolicies .*does not have \S+ deny anything/],
    ],
    [
      'a binding that takes namespaces out',
      () => ({
        admissionBindings: bindings().map((one, index) => {
          const matchResources = { namespaceSelector: { matchLabels: { a: 'b' } }, objectSelector: {} };
          const spec = { policyName: one.name, validationActions: ['Deny'], matchResources };
          return index > 0 ? one : { ...one, found: { value: { spec } } };
        }),
      }),
      [/^error AdmissionPolicies .*its namespaceSelector takes objects out/],
    ],
  ]);
});
