import { expect, test } from 'vitest';
import { DAY, NOW } from './builders.fixture.ts';
import { warnOfEndAt } from './ending.ts';

test.each([
  ['a tenth of its life before, where that is sooner', 1000, 30, 900],
  ['while what is signed still gets its whole duration, where that is sooner', 1000, 360, 640],
  ['from the start, where it is shorter than that', 100, 360, -260],
])('the end of a CA is told of %s', (_, life, longest, day) => {
  expect(warnOfEndAt(new Date(NOW), new Date(NOW + life * DAY), longest * 86_400)).toBe(NOW + day * DAY);
});
