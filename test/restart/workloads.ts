/** Workloads as the tests of restarts make and read them, on a control plane that may have no node. */
import { z } from 'zod';
import type { World } from '../certificate/world.ts';

const templateSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }).default({ annotations: {} }),
});
const workloadSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), generation: z.number() }),
  spec: z.object({ template: templateSchema }),
});
const replicaSetSchema = z.object({
  metadata: z.object({ ownerReferences: z.array(z.object({ uid: z.string() })).default([]) }),
  spec: z.object({ replicas: z.number(), template: templateSchema }),
});

export type WorkloadObject = z.output<typeof workloadSchema>;
type Plural = 'deployments' | 'statefulsets' | 'daemonsets';

/** A workload whose one container mounts the Secret. */
export function workloadBody(name: string, secretName: string, more: object = {}): object {
  const labels = { app: name };
  return {
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'main',
              image: 'registry.invalid/none',
              volumeMounts: [{ name: 'mtls', mountPath: '/var/run/mtls' }],
            },
          ],
          volumes: [{ name: 'mtls', secret: { secretName } }],
        },
      },
      ...more,
    },
  };
}

const path = (namespace: string, plural: Plural | 'replicasets', name?: string): string =>
  `/apis/apps/v1/namespaces/${namespace}/${plural}${name === undefined ? '' : `/${name}`}`;

export class Workloads {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async create(namespace: string, plural: Plural, body: object): Promise<void> {
    await this.#world.send('POST', path(namespace, plural), body);
  }

  async get(namespace: string, plural: Plural, name: string): Promise<WorkloadObject> {
    return workloadSchema.parse(await this.#world.send('GET', path(namespace, plural, name)));
  }

  async patch(namespace: string, plural: Plural, name: string, patch: object): Promise<void> {
    await this.#world.send('PATCH', path(namespace, plural, name), patch);
  }

  async patchStatus(namespace: string, plural: Plural, name: string, status: object): Promise<void> {
    await this.#world.send('PATCH', `${path(namespace, plural, name)}/status`, { status });
  }

  async remove(namespace: string, plural: Plural, name: string): Promise<void> {
    await this.#world.send('DELETE', path(namespace, plural, name));
  }

  /** What it was restarted for, by the Secret of this name. */
  async restartedFor(namespace: string, plural: Plural, name: string, secretName: string): Promise<string | undefined> {
    const { spec } = await this.get(namespace, plural, name);
    return spec.template.metadata.annotations[`restarted-for.mtls-operator.io/${secretName}`];
  }

  /** One ReplicaSet for each pod template that the Deployment has had. */
  async replicaSets(namespace: string, deployment: string): Promise<z.output<typeof replicaSetSchema>[]> {
    const { metadata } = await this.get(namespace, 'deployments', deployment);
    const list = z
      .object({ items: z.array(replicaSetSchema) })
      .parse(await this.#world.send('GET', path(namespace, 'replicasets')));
    return list.items.filter((set) => set.metadata.ownerReferences.some(({ uid }) => uid === metadata.uid));
  }
}
