/** The kinds of the Prometheus operator, as far as the chart uses them: no field is let through that is not written here. */

const text = { type: 'string' };
const texts = { type: 'object', additionalProperties: text };
const object = (properties: object, required: readonly string[] = []) => ({ type: 'object', properties, required });
const list = (items: object) => ({ type: 'array', minItems: 1, items });

const duration = { type: 'string', pattern: '^([0-9]+(ms|[smhdwy]))+$' };

const serviceMonitor = object(
  {
    selector: object({ matchLabels: texts }),
    endpoints: list(
      object({ port: text, path: text, interval: duration, scrapeTimeout: duration, honorLabels: { type: 'boolean' } }),
    ),
  },
  ['selector', 'endpoints'],
);

const rule = object({ alert: text, expr: text, for: duration, labels: texts, annotations: texts }, ['alert', 'expr']);
const prometheusRule = object({ groups: list(object({ name: text, rules: list(rule) }, ['name', 'rules'])) }, [
  'groups',
]);

function definition(kind: string, spec: object): object {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: { kind, plural },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: object({ spec }, ['spec']) } }],
    },
  };
}

export const monitoringKinds = {
  apiVersion: 'v1',
  kind: 'List',
  items: [definition('ServiceMonitor', serviceMonitor), definition('PrometheusRule', prometheusRule)],
};
