/** What the operator reads of an object's metadata, and how objects from the API server are parsed. */
import * as z from 'zod';

export const objectMetaSchema = z.object({
  name: z.string().min(1),
  namespace: z.string().optional(),
  uid: z.string().default(''),
  resourceVersion: z.string().default(''),
  generation: z.number().int().default(0),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  finalizers: z.array(z.string()).default([]),
});

export type ObjectMeta = z.output<typeof objectMetaSchema>;

/** An object that does not satisfy its schema, e.g. one stored under an older CRD. */
export class InvalidObjectError extends Error {
  override readonly name = 'InvalidObjectError';
  readonly problems: readonly { readonly path: string; readonly message: string }[];

  /** @param object how the message names the object: kind, namespace and name. */
  constructor(object: string, problems: readonly { readonly path: string; readonly message: string }[]) {
    super(`${object} is invalid: ${problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`);
    this.problems = problems;
  }
}

/**
 * @param schema of the whole object.
 * @throws InvalidObjectError that names each field, as in `spec.dnsNames[2]`.
 */
export function parseObject<Schema extends z.ZodType>(kind: string, schema: Schema, object: unknown): z.output<Schema> {
  const parsed = schema.safeParse(object);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => ({ path: pathText(path), message }));
  throw new InvalidObjectError(`${kind} ${nameOf(object)}`, problems);
}

/** `spec.dnsNames[2]`, as the API server writes paths. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${String(part)}`;
  return text === '' ? '(object)' : text;
}

const namedSchema = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) });

function nameOf(object: unknown): string {
  const named = namedSchema.safeParse(object);
  if (!named.success) return '(without a name)';
  const { name, namespace } = named.data.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
