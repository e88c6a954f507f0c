/** The outline of a pod that is being created: what injection looks at. Everything else in it is kept as it is. */
import * as z from 'zod';

const text = z.record(z.string(), z.string());

/** What kubelet asks to learn whether a container is well, or has it do at its begin and end. */
const handler = z.looseObject({
  httpGet: z
    .looseObject({
      path: z.string().optional(),
      port: z.union([z.int(), z.string()]),
      host: z.string().optional(),
      scheme: z.string().optional(),
      httpHeaders: z.array(z.looseObject({ name: z.string() })).optional(),
    })
    .optional(),
  tcpSocket: z.looseObject({ port: z.union([z.int(), z.string()]), host: z.string().optional() }).optional(),
  grpc: z.looseObject({ port: z.int(), service: z.string().nullish() }).optional(),
  timeoutSeconds: z.int().optional(),
});
export type Handler = z.output<typeof handler>;

const container = z.looseObject({
  name: z.string(),
  ports: z
    .array(z.looseObject({ containerPort: z.int(), name: z.string().optional(), protocol: z.string().optional() }))
    .optional(),
  securityContext: z.looseObject({ runAsUser: z.int().optional() }).optional(),
  restartPolicy: z.string().optional(),
  startupProbe: handler.optional(),
  livenessProbe: handler.optional(),
  readinessProbe: handler.optional(),
  lifecycle: z.looseObject({ postStart: handler.optional(), preStop: handler.optional() }).optional(),
});
export type Container = z.output<typeof container>;

const podSchema = z.looseObject({
  metadata: z
    .looseObject({
      name: z.string().optional(),
      generateName: z.string().optional(),
      labels: text.optional(),
      annotations: text.optional(),
    })
    .default({}),
  spec: z.looseObject({
    containers: z.array(container),
    initContainers: z.array(container).optional(),
    volumes: z.array(z.looseObject({ name: z.string() })).optional(),
    serviceAccountName: z.string().optional(),
    hostNetwork: z.boolean().optional(),
    dnsPolicy: z.string().optional(),
    os: z.looseObject({ name: z.string() }).optional(),
    securityContext: z.looseObject({ runAsUser: z.int().optional() }).optional(),
  }),
});
export type Pod = z.output<typeof podSchema>;

/** @throws z.ZodError where it is no pod. */
export function parsePod(object: unknown): Pod {
  return podSchema.parse(object);
}

/** TCP ports that a pod declares. In the order in which Services look for a name. */
export function tcpPorts({
  spec,
}: Pod): { readonly container: string; readonly number: number; readonly name: string | undefined }[] {
  return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ name: of, ports = [] }) =>
    ports.flatMap(({ containerPort: number, name, protocol = 'TCP' }) =>
      protocol === 'TCP' ? [{ container: of, number, name }] : [],
    ),
  );
}
