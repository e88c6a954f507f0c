import { expect, test } from 'vitest';
import { OwnChanges } from './ownChanges.ts';
import { Store } from './store.ts';

function told(): {
  readonly own: OwnChanges;
  readonly store: Store<{ resourceVersion: string }>;
  readonly news: string[];
} {
  const own = new OwnChanges();
  const store = new Store<{ resourceVersion: string }>();
  const news: string[] = [];
  store.subscribe(({ key }) => {
    if (!own.underWay) news.push(key);
  });
  return { own, store, news };
}

test('what is put into a store quietly is no news, and what follows is', () => {
  const { own, store, news } = told();
  own.quietly(() => store.observe('shop/own', { resourceVersion: '1' }));
  store.observe('shop/other', { resourceVersion: '2' });
  expect(news).toEqual(['shop/other']);
});

test('a change that fails leaves nothing quiet behind it', () => {
  const { own, store, news } = told();
  const failing = (): void => {
    throw new Error('failed');
  };
  expect(() => own.quietly(failing)).toThrow('failed');
  store.observe('shop/other', { resourceVersion: '1' });
  expect(news).toEqual(['shop/other']);
});

test('one within another ends with the outer one', () => {
  const { own, store, news } = told();
  own.quietly(() => {
    own.quietly(() => store.observe('shop/inner', { resourceVersion: '1' }));
    store.observe('shop/outer', { resourceVersion: '2' });
  });
  expect(news).toEqual([]);
});
