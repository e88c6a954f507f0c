import { expect, test } from 'vitest';
import type { Finding } from './reasons.ts';
import { Rechecks } from './rechecks.ts';

const finding = (step: Finding['step']): Finding => ({ target: { kind: 'Deployment', name: 'web' }, step });
const moving = finding({ step: 'progressing' });
const stuck = finding({ step: 'blocked', reason: 'WorkloadNotFound', message: '' });
const queued = finding({ step: 'queued' });
const SECOND = 1000;

/** Delays between looks, each made when the one before asked for it. */
function delays(looks: number, findings: readonly Finding[]): number[] {
  const rechecks = new Rechecks();
  let now = 0;
  return Array.from({ length: looks }, () => {
    const next = rechecks.next('a', findings, now);
    const delay = next - now;
    now = next;
    return delay;
  });
}

test('what moves is looked at soon, and ever more rarely', () => {
  const found = delays(40, [moving, stuck]);
  expect(found[0]).toBe(2 * SECOND);
  expect(found).toEqual([...found].sort((a, b) => a - b));
  expect(found.at(-1)).toBe(30 * SECOND);
});

test('what is stuck is looked at within ten minutes however long it lasts', () => {
  expect(delays(9, [stuck, queued]).map((delay) => delay / SECOND)).toEqual([15, 15, 30, 60, 120, 240, 480, 600, 600]);
});

test('looks for other reasons put nothing off, nor does a clock that was set back', () => {
  const rechecks = new Rechecks();
  for (let times = 0; times < 9; times += 1) rechecks.next('a', [stuck], 1000 * SECOND);
  expect(rechecks.next('a', [stuck], 1001 * SECOND)).toBe(1016 * SECOND);
  expect(rechecks.next('a', [stuck], 0)).toBe(15 * SECOND);
});

test('what begins to move, or was forgotten, is looked at soon again', () => {
  const rechecks = new Rechecks();
  rechecks.next('a', [stuck], 0);
  expect(rechecks.next('a', [moving], 900 * SECOND)).toBe(902 * SECOND);
  expect(rechecks.next('a', [moving], 1900 * SECOND)).toBe(1930 * SECOND);
  rechecks.forget('a');
  expect(rechecks.next('a', [moving], 1930 * SECOND)).toBe(1932 * SECOND);
});
