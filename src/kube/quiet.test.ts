import { describe, expect, test } from 'vitest';
import { FakeClock } from './fakeClock.ts';
import { Quiet } from './quiet.ts';

function setUp() {
  const clock = new FakeClock();
  let collections = 0;
  const quiet = new Quiet({ clock, much: 3, quietMs: 1_000, onQuiet: () => collections++ });
  return {
    clock,
    note: (times = 1) => Array.from({ length: times }, () => quiet.note()),
    collections: () => collections,
  };
}

describe('the quiet after a burst', () => {
  test('is told once, when nothing has been done for long enough', async () => {
    const { clock, note, collections } = setUp();
    note(3);
    await clock.advance(999);
    expect(collections()).toBe(0);
    await clock.advance(1);
    expect(collections()).toBe(1);
    await clock.advance(100_000);
    expect(collections()).toBe(1);
  });

  test('waits for the last of what is done', async () => {
    const { clock, note, collections } = setUp();
    note(3);
    for (let i = 0; i < 5; i++) {
      await clock.advance(900);
      note();
    }
    expect(collections()).toBe(0);
    await clock.advance(1_000);
    expect(collections()).toBe(1);
  });

  test('does not follow on little, and follows on each burst', async () => {
    const { clock, note, collections } = setUp();
    note(2);
    await clock.advance(10_000);
    expect(collections()).toBe(0);
    note();
    await clock.advance(10_000);
    expect(collections()).toBe(1);
    note(3);
    await clock.advance(10_000);
    expect(collections()).toBe(2);
  });
});
