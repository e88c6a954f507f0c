import { beforeAll, describe, expect, test } from 'vitest';
import { DAY, generationOf, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { disagreement, isOver, superseded } from './retirement.ts';

let root: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root', notAfter: NOW + 3650 * DAY });
});

/** In days. */
const MINUTE = 1 / 1440;

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
  {
    name: 'is kept where the only successor was made two minutes after its end, although it was backdated to before it',
    successors: [[360 - 3 * MINUTE, 720]],
    day: 361,
    over: false,
  },
  {
    name: 'is over where a successor was made a minute before its end',
    successors: [[360 - 6 * MINUTE, 720]],
    day: 361,
    over: true,
  },
  {
    name: 'is over where a short-lived successor was made in time: such a one is backdated by less',
    successors: [[360 - 3 * MINUTE, 360 + 8 * MINUTE]],
    day: 360 + MINUTE,
    over: true,
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

describe('where our clock says that an issuing CA is over and the API server’s does not', () => {
  test.each([
    ['a second behind, as one that tells whole seconds is', -MINUTE / 60, false],
    ['two minutes behind', -2 * MINUTE, false],
    ['ten minutes behind', -10 * MINUTE, true],
    ['a month behind', -30, true],
  ])('and is %s', async (_, days, alarming) => {
    const [old, next] = await Promise.all([generation(1, [0, 360]), generation(2, [240, 600])]);
    const found = disagreement([old], [old, next], NOW + (360 + days) * DAY);
    expect(found).toEqual({ alarming, recheck: alarming ? 3_600_000 : 60_000 });
  });

  test('and cannot be asked, that is alarming', async () => {
    const [old, next] = await Promise.all([generation(1, [0, 360]), generation(2, [240, 600])]);
    expect(disagreement([old], [old, next], undefined)).toEqual({ alarming: true, recheck: 3_600_000 });
  });
});

describe('marked as superseded', () => {
  test('are those before the one that signs, and none that a clock made that ran ahead', async () => {
    const [first, second, third] = await Promise.all(
      [1, 2, 3].map((number) => generation(number, [number === 3 ? 100 : 0, 400])),
    );
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were made');
    expect(superseded({ issuing: second, trustedIssuing: [third, second, first] })).toEqual([first]);
    expect(superseded({ issuing: second, trustedIssuing: [second, { ...first, phase: 'Retired' }] })).toEqual([]);
    expect(superseded({ issuing: undefined, trustedIssuing: [first] })).toEqual([]);
  });
});
