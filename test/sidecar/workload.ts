/** What runs in a mesh, as objects: by manifests that anybody could have written. */
import { probeImage } from '../node/index.ts';

export const namespaceOf = (name: string, labels = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

/** A Deployment of a program that answers what it is asked, with a Service and an account of its own. */
export function workload(namespace: string, name: string, replicas: number): object[] {
  const labels = { app: name };
  const metadata = { name, namespace };
  const container = {
    name: 'main',
    image: probeImage,
    args: ['echo', 'http://:8080', 'tcp://:9000'],
    ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 9000 }],
    readinessProbe: { httpGet: { path: '/well', port: 'http' }, periodSeconds: 1 },
    // As anywhere in Kubernetes: it goes on until everybody has heard that it is about to end.
    lifecycle: { preStop: { sleep: { seconds: 3 } } },
  };
  const spec = { serviceAccountName: name, terminationGracePeriodSeconds: 6, containers: [container] };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: labels,
        ports: [
          { name: 'http', port: 80, targetPort: 'http' },
          { name: 'tcp', port: 9000 },
        ],
      },
    },
  ];
}
