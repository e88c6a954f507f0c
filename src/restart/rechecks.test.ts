import { expect, test } from 'vitest';
import type { Finding } from './reasons.ts';
import { Rechecks } from './rechecks.ts';

const finding = (step: Finding['step']): Finding => ({ target: { kind: 'Deployment', name: 'web' }, step });
const moving = finding({ step: 'progressing' });
const stuck = finding({ step: 'blocked', reason: 'WorkloadNotFound', message: '' });
const queued = finding({ step: 'queued' });
const SECOND = 1000;

test('what moves is looked at soon, and ever more rarely', () => {
  const rechecks = new Rechecks();
  const delays = Array.from({ length: 20 }, () => rechecks.next('a', [moving, stuck], 0));
  expect(delays[0]).toBe(2 * SECOND);
  expect(delays).toEqual([...delays].sort((a, b) => a - b));
  expect(delays.at(-1)).toBe(30 * SECOND);
});

test('what is stuck is looked at within ten minutes however long it lasts', () => {
  const rechecks = new Rechecks();
  const delays = Array.from({ length: 2000 }, () => rechecks.next('a', [stuck, queued], 0));
  expect([delays[0], delays.at(-1)]).toEqual([15 * SECOND, 600 * SECOND]);
});

test('what begins to move, or was forgotten, is looked at soon again', () => {
  const rechecks = new Rechecks();
  for (let times = 0; times < 9; times += 1) rechecks.next('a', [stuck], 0);
  expect(rechecks.next('a', [moving], 0)).toBe(2 * SECOND);
  for (let times = 0; times < 9; times += 1) rechecks.next('a', [moving], 0);
  rechecks.forget('a');
  expect(rechecks.next('a', [moving], 0)).toBe(2 * SECOND);
});
