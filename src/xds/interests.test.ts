import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Interests } from './interests.ts';

/** `b:1` and `b:2` are about `b`; what has no colon is about nothing. */
const subjectOf = (name: string): string | undefined => (name.includes(':') ? name.split(':')[0] : undefined);

describe('a change', () => {
  test('concerns whoever asked for a name that is about it, with all such names', () => {
    const interests = new Interests<string>(subjectOf);
    for (const name of ['a:1', 'b:1', 'b:2']) interests.add('one', name);
    interests.add('other', 'a:1');
    expect([...interests.concerned(['b'])]).toEqual([['one', ['b:1', 'b:2']]]);
    expect([...interests.concerned(['a', 'c'])]).toEqual([
      ['one', ['a:1']],
      ['other', ['a:1']],
    ]);
  });

  test('never concerns names that are about nothing', () => {
    const interests = new Interests<string>(subjectOf);
    interests.add('one', 'inbound');
    expect([...interests.concerned(['inbound'])]).toEqual([]);
    expect(interests.size).toBe(0);
  });
});

test('whoever comes and goes in whatever order, those who are left are told, and nothing is kept of others', () => {
  const step = fc.tuple(fc.boolean(), fc.nat(3), fc.constantFrom('a:1', 'a:2', 'b:1', 'plain'));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const interests = new Interests<number>(subjectOf);
      const expected = new Set<string>();
      for (const [add, client, name] of steps) {
        if (add) interests.add(client, name);
        else interests.delete(client, name);
        if (add) expected.add(`${client} ${name}`);
        else expected.delete(`${client} ${name}`);
      }
      const found = [...interests.concerned(['a', 'b'])].flatMap(([client, names]) =>
        names.map((name) => `${client} ${name}`),
      );
      expect(found.sort()).toEqual([...expected].filter((one) => !one.endsWith(' plain')).sort());
      for (const one of expected) {
        const [client = '', name = ''] = one.split(' ');
        interests.delete(Number(client), name);
      }
      expect(interests.size).toBe(0);
      expect([...interests.concerned(['a', 'b'])]).toEqual([]);
    }),
  );
});
