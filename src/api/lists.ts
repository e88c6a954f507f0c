/** Lists whose items must differ: the API server enforces that by the list's type, the parser by the same rule. */
import * as z from 'zod';
import { type Extensions, field } from './rules.ts';

/** A list of distinct texts or numbers (`x-kubernetes-list-type: set`). */
export function setField<Item extends z.ZodType<string | number>>(
  item: Item,
  length: { min?: number; max: number },
  description: string,
  extensions: Extensions = {},
) {
  const list = z
    .array(item)
    .min(length.min ?? 0)
    .max(length.max)
    .check((payload) => {
      for (const index of repetitions(payload.value)) payload.issues.push(duplicate(payload.value[index], index));
    });
  return field(list, description, [], { 'x-kubernetes-list-type': 'set', ...extensions });
}

/** A list of objects that differ in one text or number, or in one of several (`x-kubernetes-list-type: map`). */
export function mapField<Key extends string, Item extends z.ZodType<Record<Key, string | number>>>(
  item: Item,
  key: Key | readonly Key[],
  length: { max: number },
  description: string,
) {
  const keys = typeof key === 'string' ? [key] : key;
  const list = z
    .array(item)
    .max(length.max)
    .check((payload) => {
      for (const index of repetitions(payload.value.map((value) => keys.map((of) => value[of]).join('/')))) {
        payload.issues.push(duplicate(payload.value[index], index));
      }
    });
  return field(list, description, [], { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });
}

/** Indexes of what was there once before; a third time is not reported again, as the API server does. */
function repetitions(values: readonly (string | number)[]): number[] {
  const times = new Map<string | number, number>();
  return values.flatMap((value, index) => {
    const before = times.get(value) ?? 0;
    times.set(value, before + 1);
    return before === 1 ? [index] : [];
  });
}

function duplicate(input: unknown, index: number) {
  return {
    code: 'custom' as const,
    message: 'Duplicate value: write each only once',
    path: [index],
    input,
    continue: true,
  };
}
