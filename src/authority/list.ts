import { asRecord } from '../kube/index.ts';

/**
 * The items of a LIST. Go writes an empty list as null. An answer of any other kind, as a proxy may give one, says nothing: least of all that there
 * is nothing.
 */
export function itemsOf(answer: unknown, what: string): readonly unknown[] {
  const { items } = asRecord(answer);
  if (items === null) return [];
  if (!Array.isArray(items)) throw new Error(`the answer to the LIST of ${what} is no list`);
  return items;
}
