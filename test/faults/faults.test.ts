import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Arena, startArena } from './arena.ts';
import { jumpAndComeBack } from './clock.ts';
import { killAgainAndAgain } from './kills.ts';
import { faultAfterFault } from './phases.ts';
import { chooseSeed } from './seed.ts';

// `npm run faults` does the same at greater length.
describe('whatever happens to the API server, the operator and its clock', () => {
  let arena: Arena;
  const seed = chooseSeed();

  beforeAll(async () => {
    arena = await startArena();
  });

  afterAll(async () => {
    await arena?.[Symbol.asyncDispose]();
  });

  test('every revision of every Secret is whole, nothing expires, nothing is written in vain: 50 kills', {
    timeout: 600_000,
  }, async () => {
    const kills = 50;
    const report = await killAgainAndAgain(arena, { kills, seed, namespace: 'kills' });
    expect(report.violations).toEqual([]);
    expect(report.issuances.superfluous, report.superfluous.join('\n')).toBeLessThanOrEqual(kills);
    expect(report).toMatchObject({ kills, rewrites: 0, ends: [], leaks: [], generations: 2 });
    expect(report.killsAtWrites).toBeGreaterThan(0);
    expect(report.issuances.first).toBe(report.certificatesMade);
  });

  test('the same under every fault of the API server', { timeout: 600_000 }, async () => {
    const report = await faultAfterFault(arena, { seed, certificates: 30, secondsEach: 6, namespace: 'phases' });
    expect(report.violations).toEqual([]);
    expect(report.superfluous).toEqual([]);
    expect(report).toMatchObject({ rewrites: 0, restless: 0, leaks: [] });
    expect(report.issuances.first).toBe(report.certificates);
    // `ends` may name lost Leases: an API server that is away for 10 s costs the leader its own.
    const kinds = [
      'silence',
      'status-429',
      'status-500',
      'status-503',
      'reset',
      'lost-answer',
      'slow',
      'truncate',
      'watch-error',
    ];
    for (const kind of kinds) expect(report.injected[kind], kind).toBeGreaterThan(0);
  });

  test('the same when its clock jumps: each certificate is renewed once at most for each jump', {
    timeout: 300_000,
  }, async () => {
    const certificates = 12;
    const report = await jumpAndComeBack(arena, { certificates, namespace: 'clock' });
    expect(report.violations).toEqual([]);
    expect(report.superfluous).toEqual([]);
    expect(report).toMatchObject({ rewrites: 0, ends: [], leaks: [] });
    expect(report.issuances.first).toBe(certificates);
    for (const { hours, count } of report.issued)
      expect(count, `clock at ${hours} h`).toBeLessThanOrEqual(certificates);
  });
});
