/** What a pod of an example runs. */
import { z } from 'zod';

const podSchema = z.object({
  kind: z.literal('Pod'),
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        command: z.array(z.string()).default([]),
        args: z.array(z.string()).default([]),
        env: z.array(z.object({ name: z.string(), value: z.string().optional() })).default([]),
      }),
    ),
  }),
});

export type Container = z.output<typeof podSchema>['spec']['containers'][number];

/** The container of that name in the pod among `objects`. */
export function containerOf(objects: readonly unknown[], name: string): Container {
  const containers = objects.flatMap((object) => podSchema.safeParse(object).data?.spec.containers ?? []);
  const found = containers.find((container) => container.name === name);
  if (found === undefined) throw new Error(`the example has no container ${name}`);
  return found;
}
