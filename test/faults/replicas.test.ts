import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { printProgress } from '../support/progress.ts';
import { type Arena, startArena } from './arena.ts';
import { lateWrite, rollOut, takeOver } from './replicas.ts';

describe('two replicas', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await startArena();
  });

  afterAll(async () => {
    await arena?.[Symbol.asyncDispose]();
  });

  test.each([
    ['is killed', 'kill'],
    ['stands still past its Lease and wakes up', 'freeze'],
    ['is cut off from the API server', 'partition'],
    ['is asked to end', 'stop'],
  ] as const)(
    'when the leader %s in the middle of 500 issuances, the other does the rest and nothing is done twice',
    {
      timeout: 300_000,
    },
    async (_, blow) => {
      const report = await takeOver(arena, { blow, certificates: 500, namespace: blow, progress: printProgress });
      expect(report.violations).toEqual([]);
      expect(report.writtenBefore).toBeLessThan(500);
      expect(report.issuances.first).toBe(500);
      expect(report).toMatchObject({ superfluous: [], rewrites: 0, leaks: [] });
      // One that was frozen or cut off finds out by itself that it leads no longer, and ends: it could do harm.
      const found = report.formerEnds.map((end) => end.slice(0, 2));
      expect(found).toEqual(blow === 'freeze' || blow === 'partition' ? ['1:'] : []);
    },
  );

  test.each([
    ['a first issuance', 'POST', 1],
    ['a further one', 'PUT', 2],
  ] as const)(
    '%s that a former leader had signed and sent never replaces what its successor wrote',
    {
      timeout: 180_000,
    },
    async (_, write, issued) => {
      const report = await lateWrite(arena, { write, namespace: `late-${write.toLowerCase()}` });
      expect(report.lateAnswer).toBe(409);
      expect(report.serials[1]).toBe(report.serials[0]);
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ superfluous: [], rewrites: 0 });
      expect(Object.values(report.issuances).reduce((sum, count) => sum + count, 0)).toBe(issued);
      expect(report.formerEnds.map((end) => end.slice(0, 2))).toEqual(['1:']);
    },
  );

  test('a rolling upgrade leaves no gap in renewals', { timeout: 300_000 }, async () => {
    const report = await rollOut(arena, { certificates: 30, namespace: 'roll' });
    expect(report.violations).toEqual([]);
    expect(report).toMatchObject({ superfluous: [], rewrites: 0, ends: [] });
    expect(report.issuances.first).toBe(30);
    expect(report.issuances.due).toBeGreaterThanOrEqual(120 - 30);
  });
});
