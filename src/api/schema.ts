/**
 * From a zod schema to the structural schema that a CustomResourceDefinition takes: OpenAPI 3.0 without references,
 * unions and whatever else the API server refuses. A construct that has no such form fails here, by its path, instead
 * of at the API server.
 */
import * as z from 'zod';
import { pathText } from './metadata.ts';

export interface StructuralSchema {
  readonly description?: string | undefined;
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly format?: string | undefined;
  readonly enum?: readonly string[] | undefined;
  readonly default?: unknown;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly minItems?: number | undefined;
  readonly maxItems?: number | undefined;
  readonly maxProperties?: number | undefined;
  readonly 'x-kubernetes-list-type'?: string | undefined;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[] | undefined;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[] | undefined;
  readonly required?: readonly string[] | undefined;
  readonly items?: StructuralSchema | undefined;
  readonly additionalProperties?: StructuralSchema | undefined;
  readonly properties?: Readonly<Record<string, StructuralSchema>> | undefined;
}

export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly messageExpression?: string | undefined;
  readonly fieldPath?: string | undefined;
}

/** What zod emits of this, and nothing else. */
const emittedSchema = z.strictObject({
  $schema: z.string().optional(),
  description: z.string().optional(),
  type: z.enum(['object', 'array', 'string', 'integer', 'boolean']),
  format: z.string().optional(),
  enum: z.array(z.string()).optional(),
  default: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  maxProperties: z.number().optional(),
  'x-kubernetes-list-type': z.string().optional(),
  'x-kubernetes-list-map-keys': z.array(z.string()).optional(),
  'x-kubernetes-validations': z
    .array(
      z.strictObject({
        rule: z.string(),
        message: z.string(),
        messageExpression: z.string().optional(),
        fieldPath: z.string().optional(),
      }),
    )
    .optional(),
  'x-mtls-required': z.string().optional(),
  required: z.array(z.string()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  // Keys of maps have no schema of their own in a structural schema: rules in CEL judge them.
  propertyNames: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
});

/** @throws Error naming the path of whatever has no structural form. */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' }), []).schema;
}

interface Converted {
  readonly schema: StructuralSchema;
  /** What to say if the field is left out, where "Required value" would not tell enough. */
  readonly missing: string | undefined;
}

function convert(node: unknown, path: readonly string[]): Converted {
  const parsed = emittedSchema.safeParse(node);
  if (!parsed.success) {
    const { message, path: at } = parsed.error.issues[0] ?? { message: 'unknown', path: [] };
    throw new Error(`the schema of ${pathText(path)} has no structural form (${pathText(at)}: ${message})`);
  }
  const emitted = parsed.data;
  const {
    $schema,
    propertyNames,
    properties,
    additionalProperties,
    items,
    'x-mtls-required': missing,
    ...rest
  } = emitted;
  const converted = new Map(
    Object.entries(properties ?? {}).map(([name, child]) => [name, convert(child, [...path, name])]),
  );
  const explained = [...converted].flatMap(([name, child]) =>
    child.missing === undefined ? [] : [{ name, message: child.missing }],
  );
  const required = (rest.required ?? []).filter((name) => explained.every((other) => other.name !== name));
  const validations = [
    ...explained.map(({ name, message }) => ({ rule: `has(self.${name})`, message, fieldPath: `.${name}` })),
    ...(rest['x-kubernetes-validations'] ?? []),
  ];
  const schema: StructuralSchema = {
    ...rest,
    ...integerBounds(emitted),
    required: required.length === 0 ? undefined : required,
    'x-kubernetes-validations': validations.length === 0 ? undefined : validations,
    items: items === undefined ? undefined : convert(items, [...path, '[]']).schema,
    additionalProperties:
      additionalProperties === undefined ? undefined : convert(additionalProperties, [...path, '*']).schema,
    properties:
      properties === undefined
        ? undefined
        : Object.fromEntries([...converted].map(([name, child]) => [name, child.schema])),
  };
  return { schema, missing };
}

const INT32_MAX = 2 ** 31 - 1;

/** zod writes the bounds of its integer types as numbers; Kubernetes says the same with `format`. */
function integerBounds({ type, minimum, maximum, format }: z.output<typeof emittedSchema>): Partial<StructuralSchema> {
  if (type !== 'integer') return {};
  const isInt32 = maximum === INT32_MAX;
  return {
    format: isInt32 ? 'int32' : (format ?? 'int64'),
    minimum: minimum === -INT32_MAX - 1 || minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum,
    maximum: isInt32 || maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum,
  };
}
