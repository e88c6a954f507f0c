import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { kindDefinitions } from './crd.ts';
import { generatedFiles, outdatedFiles } from './generate.ts';
import {
  authorityEventRules,
  clusterRules,
  inventoryRules,
  meshClusterRules,
  meshRules,
  ownNamespaceRules,
  restartRules,
  servedRules,
} from './rbac.ts';
import { field } from './rules.ts';
import { type StructuralSchema, structuralSchema } from './schema.ts';

test('the generated files are up to date (else: npm run generate)', () => {
  expect(outdatedFiles()).toEqual([]);
});

test.each([...generatedFiles()].filter(([path]) => path.endsWith('.yaml') && !path.includes('/templates/')))(
  '%s reads the same under YAML 1.1 and 1.2',
  (_, text) => {
    const read = (version: '1.1' | '1.2'): unknown[] =>
      parseAllDocuments(text, { version }).map((document) => document.toJSON());
    expect(read('1.1')).toEqual(read('1.2'));
  },
);

describe.each(kindDefinitions)('$kind.kind', ({ kind, schema, columns }) => {
  const fields = walk(schema, kind.kind);

  test('describes every field', () => {
    expect(fields.filter(({ schema: { description } }) => description === undefined).map(({ path }) => path)).toEqual([
      `${kind.kind}.metadata`,
    ]);
  });

  test('bounds every text, list and map of its spec, so that rules stay within their budget', () => {
    const unbounded = fields.filter(
      ({ path, schema: { type, maxLength, maxItems, maxProperties, enum: values, additionalProperties } }) => {
        if (!path.startsWith(`${kind.kind}.spec`)) return false;
        if (type === 'string') return maxLength === undefined && values === undefined;
        if (type === 'array') return maxItems === undefined;
        return additionalProperties !== undefined && maxProperties === undefined;
      },
    );
    expect(unbounded.map(({ path }) => path)).toEqual([]);
  });

  test('tells of every field and default in the reference', () => {
    const reference = generatedFiles().get('docs/reference.md') ?? '';
    const inTables = fields.filter(
      ({ path }) => /[.](spec|status)[.].*[^\]]$/.test(path) && !path.includes('conditions[]'),
    );
    expect(inTables.length).toBeGreaterThan(10);
    for (const { path } of inTables) expect(reference).toContain(`| \`${path.slice(path.lastIndexOf('.') + 1)}\` |`);
  });

  test('has messages that fit a line and say more than "invalid"', () => {
    for (const {
      schema: { 'x-kubernetes-validations': rules },
    } of fields) {
      for (const { message } of rules ?? []) {
        expect(message).toMatch(/^[^\n]{20,500}$/);
      }
    }
  });

  test('shows first of the narrow columns how it fares, and the age last', () => {
    const narrow = columns.filter(({ priority }) => priority === undefined);
    expect(narrow[0]?.jsonPath).toMatch(/^[.]status[.]conditions.*[.]status$/);
    expect(narrow.at(-1)?.name).toBe('Age');
  });
});

describe('structuralSchema', () => {
  test.each([
    ['a union', z.object({ a: z.union([z.string(), z.int()]) }), 'the schema of a has no structural form'],
    ['a value of any kind', z.object({ a: z.object({ b: z.unknown() }) }), 'the schema of a.b has no structural form'],
    [
      'a pattern, whose message would say nothing',
      z.object({ a: z.string().regex(/x/) }),
      'Unrecognized key: "pattern"',
    ],
  ])('refuses %s, naming its path', (_, schema, message) => {
    expect(() => structuralSchema(schema)).toThrow(message);
  });

  test('turns a requirement with words of its own into a rule', () => {
    const schema = structuralSchema(z.object({ a: field(z.string(), 'A.', [], { 'x-mtls-required': 'write a' }) }));
    expect(schema.required).toBeUndefined();
    expect(schema['x-kubernetes-validations']).toEqual([{ rule: 'has(self.a)', message: 'write a', fieldPath: '.a' }]);
  });

  test('keeps the bounds of integers that are not those of their type', () => {
    const schema = structuralSchema(z.object({ a: z.int().min(0), b: z.int32(), c: z.int().min(1).max(9) }));
    expect(schema.properties).toMatchObject({
      a: { format: 'int64', minimum: 0 },
      b: { format: 'int32' },
      c: { format: 'int64', minimum: 1, maximum: 9 },
    });
    expect(schema.properties?.['b']?.maximum).toBeUndefined();
  });
});

describe('the operator’s permissions', () => {
  const rules = [
    ...clusterRules,
    ...servedRules,
    ...restartRules,
    ...inventoryRules,
    ...meshRules,
    ...meshClusterRules,
    ...ownNamespaceRules,
    ...authorityEventRules,
  ];

  test('each have a reason', () => {
    expect(rules.filter(({ why }) => why.length < 20)).toEqual([]);
  });

  test('have no wildcard, and neither delete nor patch a Secret of users', () => {
    expect(JSON.stringify(rules)).not.toContain('"*"');
    const secrets = servedRules.find(({ rule }) => rule.resources.includes('secrets'));
    expect(secrets?.rule.verbs).toEqual(['get', 'list', 'watch', 'create', 'update']);
  });
});

function walk(schema: StructuralSchema, path: string): { path: string; schema: StructuralSchema }[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => walk(child, `${path}.${name}`));
  const items = schema.items ?? schema.additionalProperties;
  // The items of a list of objects are told by the list.
  const inner = items === undefined ? [] : walk({ description: schema.description, ...items }, `${path}[]`);
  return [{ path, schema }, ...inner, ...below];
}
