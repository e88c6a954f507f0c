import { z } from 'zod';
import type { Cluster } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';
import { probeImage } from './images.ts';

/** A pod of one container that runs a command of test/node/probe. */
export function probePod(
  name: string,
  args: readonly string[],
  more: {
    readonly spec?: object;
    readonly container?: object;
    readonly labels?: Readonly<Record<string, string>>;
  } = {},
): object {
  const { spec, container, labels = { app: name } } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: probeImage, args, ...container }],
      ...spec,
    },
  };
}

/** The part of a pod that reads a Secret at /mnt. */
export const mounting = (secretName: string) => ({
  container: { volumeMounts: [{ name: 'secret', mountPath: '/mnt', readOnly: true }] },
  spec: { volumes: [{ name: 'secret', secret: { secretName } }] },
});

/** A Deployment of two pods, with its Service, that serves TLS on port 8443 with what is in the Secret when it starts. */
export function programThatCannotReload(name: string, secretName: string): readonly object[] {
  const labels = { app: name };
  const { container, spec } = mounting(secretName);
  const main = {
    name: 'main',
    image: probeImage,
    args: ['tls', ':8443', '/mnt'],
    readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
    ...container,
  };
  const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [main], ...spec } };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    },
    { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: labels, ports: [{ port: 8443 }] } },
  ];
}

const podSchema = z.object({
  status: z.object({
    podIP: z.string().default(''),
    phase: z.string(),
    containerStatuses: z.array(z.object({ state: z.record(z.string(), z.unknown()) })).default([]),
  }),
});

/** Pods of the namespace `default`, seen through the API server. */
export class Pods {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async apply(...objects: readonly object[]): Promise<void> {
    // A pod needs the service account `default`, which the controller manager makes a moment after the namespace.
    await waitFor('the service account `default`', () => this.#cluster.kubectl(['get', 'serviceaccount', 'default']));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await this.#cluster.kubectl(['apply', '-f', '-'], { input });
  }

  async get(name: string): Promise<z.infer<typeof podSchema>['status']> {
    return podSchema.parse(JSON.parse(await this.#cluster.kubectl(['get', 'pod', name, '-o', 'json']))).status;
  }

  /** @returns the pod's address */
  async running(name: string): Promise<string> {
    await this.#cluster.kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s']);
    return (await this.get(name)).podIP;
  }

  async log(name: string): Promise<string> {
    return await this.#cluster.kubectl(['logs', name]);
  }

  /** Waits until the pod has said `text`. */
  async says(name: string, text: string): Promise<void> {
    let last = '';
    await waitFor(`pod ${name} to say ${text}`, async () => {
      last = await this.log(name);
      return last.includes(text);
    }).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : String(error)}; it said: ${last}`, { cause: error });
    });
  }
}
