import { beforeAll, expect, test } from 'vitest';
import { DAY, generationOf, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { isOver } from './retirement.ts';

let root: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root', notAfter: NOW + 3650 * DAY });
});

/** Life in days from NOW. */
type Life = readonly [from: number, until: number];

const generation = async (number: number, [from, until]: Life) =>
  generationOf(
    'Issuing',
    number,
    await makeCa({ name: `issuing ${number}`, issuer: root, notBefore: NOW + from * DAY, notAfter: NOW + until * DAY }),
    { root },
  );

interface Case {
  readonly name: string;
  readonly successors: readonly Life[];
  readonly day: number;
  readonly over: boolean;
}

const cases: readonly Case[] = [
  { name: 'is kept while it lives', successors: [[240, 600]], day: 359.9, over: false },
  { name: 'is over at its end, if it was superseded in its turn', successors: [[240, 600]], day: 360, over: true },
  { name: 'is kept while it has no successor', successors: [], day: 1000, over: false },
  {
    name: 'is kept where a clock that jumped past its end made the only successor',
    successors: [[400, 760]],
    day: 400,
    over: false,
  },
  { name: 'is kept so for as long as that is the only one', successors: [[400, 760]], day: 759, over: false },
  {
    name: 'is over after two successors in their turns, however late the first',
    successors: [
      [400, 760],
      [640, 1000],
    ],
    day: 650,
    over: true,
  },
  {
    name: 'is kept by a clock before the second of them',
    successors: [
      [400, 760],
      [640, 1000],
    ],
    day: 639,
    over: false,
  },
  { name: 'is kept by a clock at which the successor has not begun', successors: [[240, 600]], day: 100, over: false },
];

test.each(cases)('an issuing CA $name', async ({ successors, day, over }) => {
  const old = await generation(1, [0, 360]);
  const able = await Promise.all(successors.map((life, index) => generation(index + 2, life)));
  expect(isOver(old, [old, ...able], NOW + day * DAY)).toBe(over);
});

test('an older generation is no successor', async () => {
  const [older, old] = await Promise.all([generation(1, [0, 720]), generation(2, [0, 360])]);
  expect(isOver(old, [older, old], NOW + 400 * DAY)).toBe(false);
});
