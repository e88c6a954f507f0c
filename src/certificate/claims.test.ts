import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recordOf } from './builders.fixture.ts';
import type { CertificateRecord } from './certificateRecord.ts';
import { Claims, secretKey } from './claims.ts';

const names = ['a', 'b', 'c', 'd'] as const;
const values = ['x', 'y'] as const;
const step = fc.record({
  name: fc.constantFrom(...names),
  secretName: fc.option(fc.constantFrom(...values), { nil: undefined }),
  authority: fc.constantFrom(...values),
});

test('property: who asks for a Secret or an authority is who a look at every object would find', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const claims = new Claims();
      const objects = new Map<string, CertificateRecord>();
      for (const { name, secretName, authority } of steps) {
        const key = `shop/${name}`;
        const before = objects.get(key);
        const after = secretName && recordOf({ secretName, authorityRef: { name: authority } }, { metadata: { name } });
        if (after) objects.set(key, after);
        else objects.delete(key);
        claims.apply({ key, ...(before && { before }), ...(after && { after }) });
        for (const value of values) {
          const who = (asks: (record: CertificateRecord) => boolean) =>
            [...objects].filter(([, record]) => asks(record)).map(([of]) => of);
          expect([...claims.ofSecret(`shop/${value}`)].sort()).toEqual(
            who((record) => secretKey(record) === `shop/${value}`).sort(),
          );
          expect([...claims.ofAuthority(value)].sort()).toEqual(who((record) => record.authority === value).sort());
        }
      }
    }),
  );
});

test('the same name of a Secret in another namespace is another Secret', () => {
  const claims = new Claims();
  claims.apply({ key: 'shop/web', after: recordOf({ secretName: 's' }) });
  expect(claims.ofSecret('bank/s')).toEqual([]);
  expect(claims.ofSecret('shop/s')).toEqual(['shop/web']);
});
