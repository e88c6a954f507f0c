import { describe, expect, test } from 'vitest';
import {
  CONDITION_MESSAGE_MAX_LENGTH,
  type Condition,
  findCondition,
  type NewCondition,
  setCondition,
} from './conditions.ts';

const then = '2030-01-01T00:00:00Z';
const now = '2030-06-01T00:00:00Z';
const next: NewCondition = { type: 'Ready', status: 'True', reason: 'Issued', message: 'valid', observedGeneration: 1 };
const ready: Condition = { ...next, lastTransitionTime: then };
const issuing: Condition = { ...ready, type: 'Issuing', status: 'False' };

describe('setCondition', () => {
  test.each([undefined, []])('adds to no conditions (%j)', (conditions) => {
    expect(setCondition(conditions, next, now)).toEqual([{ ...next, lastTransitionTime: now }]);
  });

  test('adds behind others', () => {
    expect(setCondition([issuing], next, now)).toEqual([issuing, { ...next, lastTransitionTime: now }]);
  });

  test('returns the same array if nothing changed, so that nothing is written', () => {
    const conditions = [issuing, ready];
    expect(setCondition(conditions, next, now)).toBe(conditions);
  });

  test.each([{ reason: 'Renewed' }, { message: 'other' }, { observedGeneration: 2 }])(
    'keeps the time of transition while the status stays: %j',
    (change) => {
      expect(setCondition([ready], { ...next, ...change }, now)).toEqual([{ ...ready, ...change }]);
    },
  );

  test('moves the time of transition with the status', () => {
    const failed: NewCondition = { ...next, status: 'False', reason: 'Expired' };
    expect(setCondition([ready, issuing], failed, now)).toEqual([{ ...failed, lastTransitionTime: now }, issuing]);
  });

  test('leaves what it was given as it was', () => {
    const conditions = Object.freeze([Object.freeze({ ...ready })]);
    setCondition(conditions, { ...next, status: 'Unknown' }, now);
    expect(conditions).toEqual([ready]);
  });

  test('cuts a message that the API server would refuse, between characters', () => {
    const message = '𝔘'.repeat(CONDITION_MESSAGE_MAX_LENGTH + 1);
    const written = setCondition([], { ...next, message }, now)[0]?.message ?? '';
    expect(Array.from(written)).toHaveLength(CONDITION_MESSAGE_MAX_LENGTH);
    expect(written.endsWith('𝔘…')).toBe(true);
    expect(written.isWellFormed()).toBe(true);
  });

  test('does not cut a message of exactly the limit, nor write it again', () => {
    const message = '𝔘'.repeat(CONDITION_MESSAGE_MAX_LENGTH);
    const conditions = setCondition([], { ...next, message }, now);
    expect(conditions[0]?.message).toBe(message);
    expect(setCondition(conditions, { ...next, message }, now)).toBe(conditions);
  });

  test('takes a message that it had cut for unchanged', () => {
    const long = { ...next, message: 'a'.repeat(CONDITION_MESSAGE_MAX_LENGTH * 2) };
    const conditions = setCondition([], long, now);
    expect(setCondition(conditions, long, now)).toBe(conditions);
  });
});

test('findCondition finds by type', () => {
  expect(findCondition([issuing, ready], 'Ready')).toBe(ready);
  expect(findCondition([issuing], 'Ready')).toBeUndefined();
  expect(findCondition(undefined, 'Ready')).toBeUndefined();
});
