import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fault, type Input, initialState, PAGE_LIMIT, pauseMs, type State, step } from './reflectorState.ts';

const listing = (more: Partial<Extract<State, { at: 'listing' }>> = {}): State => ({
  at: 'listing',
  limit: PAGE_LIMIT,
  failures: 0,
  relists: 0,
  ...more,
});
const watching = (more: Partial<Extract<State, { at: 'watching' }>> = {}): State => ({
  at: 'watching',
  resourceVersion: '100',
  failures: 0,
  fruitless: 0,
  relists: 0,
  ...more,
});
const probing = (failures = 0, relists = 0): State => ({ at: 'probing', resourceVersion: '100', failures, relists });
const relisting: ReturnType<typeof step> = { state: listing({ relists: 1 }), discard: true, pause: { failures: 1 } };
const ended = (kind: Fault['kind'], fruitful = false): Input => ({ type: 'watch-ended', fault: { kind }, fruitful });
const failed = (kind: Fault['kind']): Input => ({ type: 'list-failed', fault: { kind } });

describe('listing', () => {
  test('a page with a token is followed by the next one', () => {
    expect(step(listing({ failures: 3 }), { type: 'page', next: 't', resourceVersion: '9' })).toEqual({
      state: listing({ page: 't' }),
    });
  });

  test('the last page commits, and the watch begins at its resourceVersion', () => {
    expect(step(listing({ page: 't' }), { type: 'page', resourceVersion: '9' })).toEqual({
      state: watching({ resourceVersion: '9' }),
      commit: true,
    });
  });

  test('an expired token begins anew, with larger pages, after a pause', () => {
    expect(step(listing({ page: 't' }), failed('gone'))).toEqual({
      state: listing({ limit: 2 * PAGE_LIMIT, failures: 1 }),
      pause: { failures: 1 },
      discard: true,
    });
  });

  test('tokens that keep expiring do not make pages grow without end', () => {
    let state: State = listing({ page: 't' });
    for (let i = 0; i < 20; i++) state = { ...step(state, failed('gone')).state, page: 't' } as State;
    expect(state).toMatchObject({ limit: 8_000 });
  });

  test.each(['unavailable', 'broken', 'garbled', 'idle'] as const)('%s: the same page again, after a pause', (kind) => {
    expect(step(listing({ page: 't', failures: 1 }), failed(kind))).toEqual({
      state: listing({ page: 't', failures: 2 }),
      pause: { failures: 2 },
    });
  });

  test('a page that is too large is asked for in smaller pieces at once', () => {
    expect(step(listing({ page: 't' }), failed('too-large'))).toEqual({
      state: listing({ page: 't', limit: PAGE_LIMIT / 4 }),
    });
  });

  test('a single object that is too large is asked for again, after a pause', () => {
    expect(step(listing({ limit: 1 }), failed('too-large'))).toMatchObject({ pause: { failures: 1 } });
  });

  test('waits as long as the server asked', () => {
    const input: Input = { type: 'list-failed', fault: { kind: 'unavailable', retryAfterMs: 9_000 } };
    expect(step(listing(), input).pause).toEqual({ failures: 1, retryAfterMs: 9_000 });
  });
});

describe('watching', () => {
  test('an event moves it on and forgets failures', () => {
    const state = watching({ failures: 4, fruitless: 2 });
    expect(step(state, { type: 'progress', resourceVersion: '101' })).toEqual({
      state: watching({ resourceVersion: '101' }),
    });
  });

  test('a bookmark may repeat the resourceVersion', () => {
    expect(step(watching(), { type: 'progress', resourceVersion: '100' }).state).toEqual(watching());
  });

  test.each(['99', '7', 'x', '', '0100'])(
    'resourceVersion %j after 100: etcd was restored, list anew',
    (resourceVersion) => {
      expect(step(watching(), { type: 'progress', resourceVersion })).toEqual({ ...relisting, rewound: true });
    },
  );

  test('more digits are more, not less', () => {
    expect(step(watching({ resourceVersion: '999' }), { type: 'progress', resourceVersion: '1000' }).state.at).toBe(
      'watching',
    );
  });

  test.each<[string, Input, Partial<ReturnType<typeof step>>]>([
    ['ended by its timeout: goes on at once', ended('clean', true), { state: watching() }],
    [
      'ended at once without a word: goes on after a pause, or it would be a tight loop',
      ended('clean', false),
      { state: watching({ failures: 1 }), pause: { failures: 1 } },
    ],
    ['410: lists after a pause', ended('gone'), relisting],
    ['410 after events: likewise', ended('gone', true), relisting],
    ['400: lists after a pause', ended('rejected'), relisting],
    [
      '429, 5xx, 403: goes on after a pause, without a LIST',
      ended('unavailable'),
      { state: watching({ failures: 1 }), pause: { failures: 1 } },
    ],
    ['silent: asks whether the server went back in time', ended('idle'), { state: probing() }],
    ['broke off: likewise, after a pause', ended('broken'), { state: probing(1), pause: { failures: 1 } }],
    [
      'unreadable: goes on after a pause',
      ended('garbled'),
      { state: watching({ failures: 1, fruitless: 1 }), pause: { failures: 1 } },
    ],
  ])('%s', (_name, input, expected) => {
    expect(step(watching(), input)).toEqual(expected);
  });

  test('unreadable three times in a row without one event between: lists', () => {
    let state = watching();
    const visited = [1, 2, 3].map(() => {
      state = step(state, ended('garbled')).state;
      return state.at;
    });
    expect(visited).toEqual(['watching', 'watching', 'listing']);
  });

  test('unreadable after events each time: never lists, for it does get on', () => {
    let state = watching();
    for (let i = 0; i < 10; i++) state = step(state, ended('garbled', true)).state;
    expect(state.at).toBe('watching');
  });
});

describe('probing', () => {
  test('the collection is where we are or further: the watch goes on', () => {
    for (const resourceVersion of ['100', '5000']) {
      expect(step(probing(2), { type: 'probed', resourceVersion }).state).toEqual(watching({ failures: 2 }));
    }
  });

  test('the collection is behind: lists', () => {
    expect(step(probing(), { type: 'probed', resourceVersion: '99' })).toEqual({ ...relisting, rewound: true });
  });

  test('no answer: asks again after a pause', () => {
    expect(step(probing(2), { type: 'probe-failed', fault: { kind: 'broken' } })).toEqual({
      state: probing(3),
      pause: { failures: 3 },
    });
  });
});

test('LIST after LIST without a watch that brings something is ever rarer; an event, or a watch that ended by its time, begins anew', () => {
  let state: State = initialState();
  const pauses = [1, 2, 3, 4].map(() => {
    state = step(state, { type: 'page', next: 't', resourceVersion: '1' }).state;
    state = step(state, { type: 'page', resourceVersion: '1' }).state;
    const next = step(state, ended('gone'));
    state = next.state;
    return next.pause?.failures;
  });
  expect(pauses).toEqual([1, 2, 3, 4]);
  state = step(state, { type: 'page', resourceVersion: '1' }).state;
  expect(step(state, ended('clean', true)).state).toMatchObject({ relists: 0 });
  expect(step(state, { type: 'progress', resourceVersion: '2' }).state).toMatchObject({ relists: 0 });
});

test('an input that does not fit the state is a fault of ours', () => {
  expect(() => step(listing(), ended('clean'))).toThrow('listing');
});

test('whatever happens, it never loops without a pause or progress: two steps in a row that bring nothing wait', () => {
  const kinds = ['clean', 'gone', 'rejected', 'unavailable', 'broken', 'idle', 'garbled'] as const;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...kinds), { minLength: 3, maxLength: 40 }), (sequence) => {
      let state: State = initialState();
      let unpaused = 0;
      for (const kind of sequence) {
        const input: Input =
          state.at === 'watching'
            ? ended(kind)
            : { type: state.at === 'listing' ? 'list-failed' : 'probe-failed', fault: { kind } };
        const next = step(state, input);
        // Going to ask whether the server is there is no loop by itself: what it leads to waits.
        unpaused = next.pause ? 0 : unpaused + 1;
        expect(unpaused).toBeLessThanOrEqual(1);
        state = next.state;
      }
    }),
  );
});

describe('pauseMs', () => {
  test('doubles up to half a minute', () => {
    const pauses = [1, 2, 3, 8, 9, 1_000].map((failures) => pauseMs({ failures }, () => 1));
    expect(pauses).toEqual([200, 400, 800, 25_600, 30_000, 30_000]);
  });

  test('is at least half of that, by chance', () => {
    expect(pauseMs({ failures: 1 }, () => 0)).toBe(100);
  });

  test('is never shorter than the server asked', () => {
    expect(pauseMs({ failures: 1, retryAfterMs: 60_000 }, () => 0)).toBe(60_000);
  });
});
