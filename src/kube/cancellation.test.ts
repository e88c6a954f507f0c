import { expect, test, vi } from 'vitest';
import { Cancellation } from './cancellation.ts';

test('the first reason stays, and the hook is called once', () => {
  const cancellation = new Cancellation();
  const hook = vi.fn();
  cancellation.onCancel(hook);
  cancellation.cancel('first');
  cancellation.cancel('second');
  expect(hook.mock.calls).toEqual([['first']]);
  expect(() => cancellation.throwIfCancelled()).toThrow('first');
});

test('a hook that comes late is called at once', () => {
  const cancellation = new Cancellation();
  cancellation.cancel('gone');
  const hook = vi.fn();
  cancellation.onCancel(hook);
  expect(hook).toHaveBeenCalledWith('gone');
});

test('a reason may be undefined, as that of an AbortSignal', () => {
  const cancellation = new Cancellation();
  cancellation.cancel(undefined);
  expect(cancellation.reason).toEqual({ error: undefined });
});

test('follows a signal until it is released', () => {
  const controller = new AbortController();
  const [kept, released] = [new Cancellation(), new Cancellation()];
  kept.follow(controller.signal);
  released.follow(controller.signal);
  released.release();
  controller.abort('over');
  expect(kept.reason).toEqual({ error: 'over' });
  expect(released.reason).toBeUndefined();
  const late = new Cancellation();
  late.follow(controller.signal);
  expect(late.reason).toEqual({ error: 'over' });
});
