import { describe, expect, test } from 'vitest';
import { Uncounted } from './uncounted.ts';

const MESH = 'mtls-system';

function begun(...namespaces: readonly string[]): Uncounted {
  const made = new Uncounted(MESH);
  made.begin(namespaces);
  return made;
}

describe('the sidecars of a policy have yet to be counted', () => {
  test('as long as nobody leads', () => {
    const uncounted = new Uncounted(MESH);
    expect(uncounted.has('shop/a')).toBe(true);
    uncounted.begin([]);
    expect([...uncounted.takeCounted()]).toEqual(['shop/a']);
    expect(uncounted.has('shop/a')).toBe(false);
  });

  test('after a term has begun, in each namespace with pods of the mesh', () => {
    const uncounted = begun('shop', 'bank');
    expect(['shop/a', 'bank/a', 'empty/a'].map((one) => uncounted.has(one))).toEqual([true, true, false]);
    expect([...uncounted.counted('shop', uncounted.number)]).toEqual(['shop/a']);
    expect(['shop/a', 'bank/a'].map((one) => uncounted.has(one))).toEqual([false, true]);
  });

  test('in every namespace, where it is for the whole mesh', () => {
    const uncounted = begun('shop', 'bank');
    expect(uncounted.has(`${MESH}/all`)).toBe(true);
    expect([...uncounted.counted('shop', uncounted.number)]).toEqual([]);
    expect([...uncounted.counted('bank', uncounted.number)]).toEqual([`${MESH}/all`]);
  });

  test('again when something has changed, and no less by a count that had begun before', () => {
    const uncounted = begun('shop');
    const before = uncounted.number;
    uncounted.change('shop');
    uncounted.counted('shop', before);
    expect(uncounted.has('shop/a')).toBe(true);
    uncounted.counted('shop', uncounted.number);
    expect(uncounted.has('shop/a')).toBe(false);
  });

  test('and those that asked are told once', () => {
    const uncounted = begun('shop');
    uncounted.has('shop/a');
    expect([...uncounted.counted('shop', uncounted.number)]).toEqual(['shop/a']);
    expect([...uncounted.counted('shop', uncounted.number)]).toEqual([]);
  });
});
