import { expect, test } from 'vitest';
import { type Finding, type RestartReason, verdictOf } from './reasons.ts';

const finding = (name: string, step: Finding['step']): Finding => ({ target: { kind: 'Deployment', name }, step });
const done = finding('done', { step: 'done' });
const progressing = finding('moving', { step: 'progressing' });
const waiting = finding('waiting', { step: 'wait' });
const queued = finding('queued', { step: 'queued' });
const stalled = finding('stuck', { step: 'stalled', message: 'timed out' });
const missing = finding('gone', { step: 'blocked', reason: 'WorkloadNotFound', message: 'there is none' });
const failed = finding('broken', { step: 'failed', message: 'no answer' });
const forbidden = finding('barred', { step: 'blocked', reason: 'RestartForbidden', message: 'it may not' });

test.each<[string, readonly Finding[], RestartReason]>([
  ['all are done', [done, done], 'Restarted'],
  ['one is under way', [done, progressing], 'RestartInProgress'],
  ['one waits for its last restart', [done, waiting], 'RestartWaiting'],
  ['one waits for others', [queued, done], 'RestartWaiting'],
  ['one waits and one is under way', [queued, progressing], 'RestartInProgress'],
  ['one has stalled', [progressing, stalled], 'RestartStalled'],
  ['one could not be tried', [done, failed, stalled, progressing], 'RestartFailed'],
  ['one is missing', [stalled, missing, progressing], 'WorkloadNotFound'],
  ['the operator may not', [missing, forbidden], 'RestartForbidden'],
])('the reason where %s', (_, findings, reason) => {
  expect(verdictOf(findings, 'AB12')).toMatchObject({ reason, status: reason === 'Restarted' ? 'True' : 'False' });
});

test('the message names each workload that is not done, and what about it', () => {
  expect(verdictOf([done, missing, stalled], 'AB12').message).toBe(
    'for certificate AB12: Deployment "gone": there is none; ' +
      'Deployment "stuck": was restarted, and its new pods do not get ready: timed out',
  );
});
