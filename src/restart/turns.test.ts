import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '../kube/index.ts';
import { type Entrant, Turns } from './turns.ts';

function waitingRoom(limit = 2) {
  const clock = new FakeClock();
  const called: string[] = [];
  const turns = new Turns({ clock, limit, onTurn: (certificates) => called.push(...certificates) });
  return { clock, called, turns };
}

/** Long enough for the pace to have forgotten those before, short enough for no turn to end by itself. */
const SOON = 60_000;

const web = (namespace: string, index = 0): Entrant => ({ namespace, workload: `Deployment/web-${index}` });

describe('turns', () => {
  test('are nobody’s until everything has been looked at', () => {
    const { turns, called } = waitingRoom();
    expect(turns.enter(web('a'), 'a/web')).toBe(false);
    turns.open();
    expect(called).toEqual(['a/web']);
    expect(turns.enter(web('a'), 'a/web')).toBe(true);
  });

  test('are as many as the limit says, and pass on when one leaves', async () => {
    const { turns, called, clock } = waitingRoom(2);
    turns.open();
    expect([0, 1, 2].map((index) => turns.enter(web('a', index), `a/${index}`))).toEqual([true, true, false]);
    await clock.advance(SOON);
    turns.leave(web('a', 0), 'a/0');
    turns.leave(web('a', 0), 'a/0');
    expect(called.at(-1)).toBe('a/2');
    expect([turns.running, turns.waiting]).toEqual([2, 0]);
  });

  test('count what is under way already, beyond the limit if need be', () => {
    const { turns } = waitingRoom(1);
    turns.occupy(web('a', 0), 'a/0');
    turns.occupy(web('a', 1), 'a/1');
    turns.open();
    expect(turns.enter(web('a', 2), 'a/2')).toBe(false);
    turns.leave(web('a', 0), 'a/0');
    expect(turns.enter(web('a', 2), 'a/2')).toBe(false);
    turns.leave(web('a', 1), 'a/1');
    expect(turns.enter(web('a', 2), 'a/2')).toBe(true);
  });

  test('go to the namespace with the fewest under way', async () => {
    const { turns, called, clock } = waitingRoom(2);
    turns.open();
    for (const index of [0, 1, 2, 3]) turns.enter(web('long', index), `long/${index}`);
    turns.enter(web('short'), 'short/web');
    await clock.advance(SOON);
    turns.leave(web('long', 0), 'long/0');
    expect(called.at(-1)).toBe('short/web');
  });

  test('go round the namespaces, even one at a time', async () => {
    const { turns, called, clock } = waitingRoom(1);
    turns.open();
    for (const index of [0, 1, 2]) turns.enter(web('long', index), `long/${index}`);
    turns.enter(web('short'), 'short/web');
    for (const index of [0, 1]) {
      await clock.advance(SOON);
      turns.leave(web('long', index), `long/${index}`);
    }
    expect(called).toEqual(['long/0', 'long/1', 'short/web']);
  });

  test('are told to every certificate that asks for the workload', async () => {
    const { turns, called, clock } = waitingRoom(1);
    turns.open();
    turns.enter(web('a', 0), 'a/first');
    turns.enter(web('a', 1), 'a/server');
    turns.enter(web('a', 1), 'a/client');
    await clock.advance(SOON);
    turns.leave(web('a', 0), 'a/first');
    expect(called).toEqual(['a/first', 'a/server', 'a/client']);
  });

  test('of a certificate are its own: another that leaves the workload takes no place from it', async () => {
    const { turns, called, clock } = waitingRoom(1);
    turns.open();
    turns.enter(web('a', 0), 'a/first');
    turns.enter(web('a', 1), 'a/server');
    turns.enter(web('a', 1), 'a/client');
    turns.leave(web('a', 1), 'a/client');
    await clock.advance(SOON);
    turns.leave(web('a', 0), 'a/first');
    expect(called).toEqual(['a/first', 'a/server']);
    expect(turns.enter(web('a', 1), 'a/server')).toBe(true);
  });

  test('end only when no certificate has the workload restarted any more', async () => {
    const { turns, called, clock } = waitingRoom(1);
    turns.open();
    turns.enter(web('a', 0), 'a/server');
    turns.occupy(web('a', 0), 'a/client');
    turns.enter(web('a', 1), 'a/1');
    await clock.advance(SOON);
    turns.leave(web('a', 0), 'a/server');
    expect([called, turns.running]).toEqual([['a/server'], 1]);
    turns.leave(web('a', 0), 'a/client');
    expect(called).toEqual(['a/server', 'a/1']);
  });

  test('of a workload that is being restarted for another certificate come when that is through', async () => {
    const { turns, called, clock } = waitingRoom(2);
    turns.enter(web('a', 0), 'a/client');
    turns.occupy(web('a', 0), 'a/server');
    turns.open();
    expect([called, turns.running, turns.waiting]).toEqual([[], 1, 1]);
    await clock.advance(SOON);
    turns.leave(web('a', 0), 'a/server');
    expect([called, turns.running, turns.waiting]).toEqual([['a/client'], 1, 0]);
  });

  test('end when a restart takes too long, which then stays without one', async () => {
    const { turns, clock, called } = waitingRoom(1);
    turns.open();
    turns.enter(web('a', 0), 'a/0');
    turns.enter(web('a', 1), 'a/1');
    await clock.advance(120_000);
    expect(called.at(-1)).toBe('a/1');
    turns.occupy(web('a', 0), 'a/0');
    expect(turns.running).toBe(1);
  });

  test('come no faster than one a second once the first few are through', async () => {
    const { turns, clock, called } = waitingRoom(2);
    turns.open();
    for (let index = 0; index < 5; index += 1) {
      if (turns.enter(web('a', index), `a/${index}`)) turns.leave(web('a', index), `a/${index}`);
    }
    expect(called).toHaveLength(2);
    await clock.advance(1_000);
    expect(called).toHaveLength(3);
  });

  test('of who withdraws while waiting are not called', () => {
    const { turns, called } = waitingRoom(1);
    turns.open();
    turns.enter(web('a', 0), 'a/0');
    turns.enter(web('a', 1), 'a/1');
    turns.leave(web('a', 1), 'a/1');
    turns.leave(web('a', 0), 'a/0');
    expect(called).toEqual(['a/0']);
    expect([turns.running, turns.waiting]).toEqual([0, 0]);
  });
});

test('property: everyone has a turn, and never more than the limit at once', async () => {
  const namespaces = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), namespaces, async (limit, places) => {
      const { turns, clock, called } = waitingRoom(limit);
      const entrants = places.map((place, index) => web(`ns-${place}`, index));
      turns.open();
      for (const [index, entrant] of entrants.entries()) turns.enter(entrant, String(index));
      let served = 0;
      while (served < called.length || turns.waiting > 0) {
        expect(turns.running).toBeLessThanOrEqual(limit);
        const next = entrants[Number(called[served])];
        if (next === undefined) {
          await clock.advance(1_000);
        } else {
          served += 1;
          turns.leave(next, String(called[served - 1]));
        }
      }
      expect([...new Set(called)]).toHaveLength(entrants.length);
      turns.stop();
    }),
  );
});
