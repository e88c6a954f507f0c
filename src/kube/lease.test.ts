import { describe, expect, test } from 'vitest';
import { decideLease, type LeaseRecord, leaseSpec, microTime, readLease } from './lease.ts';

const theirs: LeaseRecord = {
  holder: 'other',
  durationMs: 15_000,
  renewTime: '2030-01-01T00:00:00.000000Z',
  acquireTime: '2029-12-31T00:00:00.000000Z',
  transitions: 4,
};
const own = { identity: 'me', durationMs: 20_000, now: '2030-01-02T00:00:00.000000Z', unchangedMs: 0 };

describe('decideLease', () => {
  test('takes a Lease that does not exist', () => {
    expect(decideLease(undefined, own)).toEqual({
      action: 'take',
      record: { holder: 'me', durationMs: 20_000, renewTime: own.now, acquireTime: own.now, transitions: 0 },
    });
  });

  test('waits while another renews, by what the Lease says its duration is', () => {
    expect(decideLease(theirs, { ...own, unchangedMs: 14_999 })).toEqual({ action: 'wait', holder: 'other' });
  });

  test('waits for a duration seen on our own clock, however old the times in the Lease are', () => {
    const old = { ...theirs, renewTime: '1999-01-01T00:00:00Z' };
    expect(decideLease(old, own).action).toBe('wait');
  });

  test('takes what was not renewed for its duration, and counts the transition', () => {
    const decision = decideLease(theirs, { ...own, unchangedMs: 15_000 });
    expect(decision).toMatchObject({ action: 'take', record: { holder: 'me', transitions: 5, acquireTime: own.now } });
  });

  test('takes at once what was released', () => {
    expect(decideLease({ ...theirs, holder: '' }, own)).toMatchObject({ action: 'take', record: { transitions: 5 } });
  });

  test('renews its own, and keeps since when', () => {
    expect(decideLease({ ...theirs, holder: 'me' }, own)).toEqual({
      action: 'renew',
      record: { holder: 'me', durationMs: 20_000, renewTime: own.now, acquireTime: theirs.acquireTime, transitions: 4 },
    });
  });
});

describe('readLease', () => {
  test.each([[null], ['x'], [{}], [{ metadata: {} }], [{ metadata: { resourceVersion: 7 } }]])(
    '%j is none',
    (object) => {
      expect(readLease(object)).toBeUndefined();
    },
  );

  test.each([
    [undefined],
    [null],
    [{}],
    [{ holderIdentity: 7, leaseDurationSeconds: 'x', leaseTransitions: [] }],
    ['x'],
  ])('a spec of %j is free to take', (spec) => {
    const record = readLease({ metadata: { resourceVersion: '1' }, spec })?.record;
    expect(record).toEqual({ holder: '', durationMs: 0, renewTime: '', acquireTime: '', transitions: 0 });
    expect(decideLease(record, own).action).toBe('take');
  });

  test('reads what leaseSpec writes', () => {
    expect(readLease({ metadata: { resourceVersion: '9' }, spec: leaseSpec(theirs) })).toMatchObject({
      record: theirs,
      resourceVersion: '9',
    });
  });
});

test('a released Lease says one second: the API server refuses less', () => {
  expect(leaseSpec({ ...theirs, durationMs: 0 })).toMatchObject({ leaseDurationSeconds: 1 });
});

test('MicroTime has six digits', () => {
  expect(microTime(Date.UTC(2030, 0, 1, 0, 0, 0, 7))).toBe('2030-01-01T00:00:00.007000Z');
});
