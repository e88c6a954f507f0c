import { expect, test } from 'vitest';
import { KeyMaker } from './keys.ts';

const rsa = { algorithm: 'RSA', size: 2048 } as const;

function maker() {
  const ready: string[] = [];
  let wake = () => {};
  const keys = new KeyMaker(
    (key) => {
      ready.push(key);
      wake();
    },
    (_, error) => {
      throw error;
    },
  );
  const next = () => new Promise<void>((resolve) => (wake = () => resolve()));
  return { keys, ready, next };
}

test('an EC or Ed25519 key is there at once, and another one each time', async () => {
  const { keys } = maker();
  for (const spec of [{ algorithm: 'ECDSA' } as const, { algorithm: 'Ed25519' } as const]) {
    const [one, two] = [await keys.take('k', spec), await keys.take('k', spec)];
    expect(one?.spki.equals(two?.spki ?? Buffer.alloc(0))).toBe(false);
  }
});

test('an RSA key is made meanwhile, told of, and given once', async () => {
  const { keys, ready, next } = maker();
  const told = next();
  expect(await keys.take('k', rsa)).toBeUndefined();
  expect(await keys.take('k', rsa)).toBeUndefined();
  await told;
  expect(ready).toEqual(['k']);
  expect((await keys.take('k', rsa))?.spec).toEqual(rsa);
  expect(await keys.take('k', rsa)).toBeUndefined();
});

test('a key that is not wanted any more is neither told of nor kept', async () => {
  const { keys, ready, next } = maker();
  await keys.take('gone', rsa);
  keys.forget('gone');
  const told = next();
  await keys.take('k', rsa);
  await told;
  expect(ready).toEqual(['k']);
});

test('a key of another size is made anew', async () => {
  const { keys, next, ready } = maker();
  await keys.take('k', rsa);
  const told = next();
  expect(await keys.take('k', { algorithm: 'RSA', size: 2056 })).toBeUndefined();
  await told;
  expect(ready).toEqual(['k']);
  expect((await keys.take('k', { algorithm: 'RSA', size: 2056 }))?.spec.size).toBe(2056);
});
