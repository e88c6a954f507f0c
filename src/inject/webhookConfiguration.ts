/**
 * Which pods the API server asks about, and what it does when nobody answers: pure. It fails closed only for whoever asked for the mesh, so that a cluster whose webhook is down goes on
 * elsewhere.
 */
import { injectionValues, labels } from '../api/index.ts';

/** Either a Service or a URL. */
export type ClientConfig = { readonly caBundle: string } & (
  | {
      readonly service: {
        readonly namespace: string;
        readonly name: string;
        readonly path: string;
        readonly port: number;
      };
    }
  | { readonly url: string }
);

export interface WebhookConfigurationOptions {
  readonly name: string;
  readonly operatorNamespace: string;
  readonly everyNamespace: boolean;
  readonly clientConfig: ClientConfig;
}

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn';
  readonly values: readonly string[];
}

const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

export function webhookConfiguration(options: WebhookConfigurationOptions): object {
  const { name, operatorNamespace, everyNamespace, clientConfig } = options;
  const { enabled, disabled } = injectionValues;
  // Never those by which the operator and the cluster themselves come up: they would wait for each other.
  const excluded: Requirement = {
    key: NAMESPACE_NAME,
    operator: 'NotIn',
    values: [operatorNamespace, 'kube-system', 'kube-public', 'kube-node-lease'],
  };
  const label = (operator: Requirement['operator'], ...values: string[]): Requirement => ({
    key: labels.injection,
    operator,
    values,
  });
  // Each pod is in one of them at most.
  const webhooks = [
    entry('namespace', [excluded, label('In', enabled)], [label('NotIn', disabled)], 'Fail'),
    entry('pod', [excluded, label('NotIn', enabled)], [label('In', enabled)], 'Fail'),
    ...(everyNamespace
      ? [entry('mesh', [excluded, label('NotIn', enabled, disabled)], [label('NotIn', enabled, disabled)], 'Ignore')]
      : []),
  ];
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name },
    webhooks,
  };

  function entry(
    of: string,
    namespaces: readonly Requirement[],
    pods: readonly Requirement[],
    failurePolicy: 'Fail' | 'Ignore',
  ): object {
    return {
      name: `${of}.injection.mtls-operator.io`,
      admissionReviewVersions: ['v1'],
      clientConfig,
      rules: [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' },
      ],
      namespaceSelector: { matchExpressions: namespaces },
      objectSelector: { matchExpressions: pods },
      failurePolicy,
      matchPolicy: 'Equivalent',
      // What webhooks after this one add has probes, too.
      reinvocationPolicy: 'IfNeeded',
      sideEffects: 'None',
      timeoutSeconds: 10,
    };
  }
}
