/** Pods of one namespace, seen through the API server: what kubelet says of them, and what their applications say. */
import * as z from 'zod';
import type { Cluster } from '../cluster/index.ts';

const stateSchema = z.object({
  running: z.object({}).optional(),
  waiting: z.object({ reason: z.string() }).optional(),
  terminated: z.object({ exitCode: z.number() }).optional(),
});
const containerSchema = z.object({
  name: z.string(),
  started: z.boolean().optional(),
  ready: z.boolean(),
  restartCount: z.number(),
  containerID: z.string().optional(),
  state: stateSchema,
});
const podSchema = z.object({
  metadata: z.object({ uid: z.string() }),
  spec: z.object({ containers: z.array(z.object({ readinessProbe: z.unknown().optional() })) }),
  status: z.object({
    podIP: z.string().default(''),
    podIPs: z.array(z.object({ ip: z.string() })).default([]),
    phase: z.string(),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    initContainerStatuses: z.array(containerSchema).default([]),
    containerStatuses: z.array(containerSchema).default([]),
  }),
});

const eventsSchema = z.object({ items: z.array(z.object({ message: z.string(), count: z.number().nullish() })) });

export interface PodView {
  readonly uid: string;
  readonly address: string;
  /** Of both families, where it has both. */
  readonly addresses: readonly string[];
  /** Of its first container. */
  readonly readinessProbe: unknown;
  readonly ready: boolean;
  /** The status of a container, be it for initialisation or not. */
  readonly of: (container: string) => z.output<typeof containerSchema> | undefined;
}

/** Their application is the container `main`, which runs a command of test/node/probe. */
export class Pods {
  readonly #cluster: Cluster;
  readonly #namespace: string;

  constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  async kubectl(...args: readonly string[]): Promise<string> {
    return await this.#cluster.kubectl(['-n', this.#namespace, ...args]);
  }

  async get(name: string): Promise<PodView> {
    const { metadata, spec, status } = podSchema.parse(
      JSON.parse(await this.kubectl('get', 'pod', name, '-o', 'json')),
    );
    const statuses = [...status.initContainerStatuses, ...status.containerStatuses];
    return {
      uid: metadata.uid,
      address: status.podIP,
      addresses: status.podIPs.map(({ ip }) => ip),
      readinessProbe: spec.containers[0]?.readinessProbe,
      ready: status.conditions.find(({ type }) => type === 'Ready')?.status === 'True',
      of: (container) => statuses.find((one) => one.name === container),
    };
  }

  /** Waits until it is ready. @returns its address */
  async ready(name: string): Promise<string> {
    await this.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s').catch(
      async (error: unknown) => {
        throw new Error(`${name} is not ready: ${await this.kubectl('describe', 'pod', name)}`, { cause: error });
      },
    );
    return (await this.get(name)).address;
  }

  /** The id by which the node knows one of its containers. */
  async containerOf(name: string, container: string): Promise<string> {
    const id = (await this.get(name)).of(container)?.containerID;
    if (id === undefined) throw new Error(`${name} has no container ${container}`);
    return id.replace('containerd://', '');
  }

  /** What its application is answered at that address. */
  async visit(from: string, url: string): Promise<string> {
    const said = await this.kubectl('exec', from, '-c', 'main', '--', '/probe', 'visit', url);
    return said.trim().slice(`${url}: `.length);
  }

  /** How often its application has heard that. */
  async heard(name: string, words: string): Promise<number> {
    return (await this.kubectl('logs', name, '-c', 'main')).split(words).length - 1;
  }

  /** How often kubelet has found one of its containers unwell, in those words. */
  async complaints(name: string, words: string): Promise<number> {
    const selector = `involvedObject.name=${name},reason=Unhealthy`;
    const { items } = eventsSchema.parse(
      JSON.parse(await this.kubectl('get', 'events', '--field-selector', selector, '-o', 'json')),
    );
    return items.filter(({ message }) => message.includes(words)).reduce((sum, { count }) => sum + (count ?? 1), 0);
  }
}
