import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Ledger } from './ledger.ts';
import type { Report } from './reports.ts';

const report = (parts: Partial<Report>): Report => ({ proxies: [], gone: [], records: [], recordsGone: [], ...parts });
const version = (resourceVersion: string, state: number) => ({ namespace: 'shop', resourceVersion, state });
const proxy = (uid: string, acknowledged?: number) => ({
  uid,
  pod: `shop/${uid}`,
  ...(acknowledged === undefined ? {} : { acknowledged }),
});

function told(...reports: readonly Partial<Report>[]): Ledger {
  const ledger = new Ledger();
  ledger.expect('a');
  for (const one of reports) ledger.take('a', report(one));
  return ledger;
}

describe('the version by which a proxy acts', () => {
  test('is the newest of which it has taken everything', () => {
    const ledger = told({ records: [version('10', 1), version('20', 5)], proxies: [proxy('p', 4), proxy('q', 5)] });
    expect([ledger.versionOf('shop', 'p'), ledger.versionOf('shop', 'q')]).toEqual(['10', '20']);
  });

  test.each<[string, Ledger]>([
    ['of a proxy that nobody has told of', told({ records: [version('10', 1)] })],
    ['of one that has taken nothing', told({ records: [version('10', 1)], proxies: [proxy('p')] })],
    [
      'of one that has taken only what was before the record',
      told({ records: [version('10', 3)], proxies: [proxy('p', 2)] }),
    ],
    ['of one whose stream has ended', told({ records: [version('10', 1)], proxies: [proxy('p', 2)] }, { gone: ['p'] })],
    ['where there is no record', told({ proxies: [proxy('p', 2)] })],
  ])('is not known %s', (_, ledger) => {
    expect(ledger.versionOf('shop', 'p')).toBeUndefined();
  });

  test('is that of the newest state of its replica where it is current, and stays where it is from the moment on at which it is not', () => {
    const current = (acknowledged: number) => ({ ...proxy('p', acknowledged), current: true });
    const ledger = told(
      { told: 5, records: [version('10', 1)], proxies: [current(5)] },
      { records: [version('20', 6)] },
    );
    expect(ledger.versionOf('shop', 'p')).toBe('10');
    ledger.take('a', report({ told: 6 }));
    expect(ledger.versionOf('shop', 'p')).toBe('20');
    ledger.take('a', report({ told: 7, records: [version('30', 7)], proxies: [proxy('p', 6)] }));
    expect(ledger.versionOf('shop', 'p')).toBe('20');
    ledger.take('a', report({ proxies: [current(7)] }));
    expect(ledger.versionOf('shop', 'p')).toBe('30');
  });

  test('is not known of a record that is deleted, until there is another', () => {
    const ledger = told({ records: [version('10', 1)], proxies: [proxy('p', 4)] }, { recordsGone: ['shop'] });
    expect([ledger.versionOf('shop', 'p'), ledger.renderedFrom('shop')]).toEqual([undefined, undefined]);
    ledger.take('a', report({ recordsGone: ['shop'], records: [version('20', 3)] }));
    expect([ledger.versionOf('shop', 'p'), ledger.renderedFrom('shop')]).toEqual(['20', '20']);
  });

  test('with streams to two replicas is the older one', () => {
    const ledger = told({ records: [version('20', 9)], proxies: [proxy('p', 9)] });
    ledger.expect('b');
    ledger.take('b', report({ records: [version('10', 2)], proxies: [proxy('p', 2)] }));
    expect(ledger.versionOf('shop', 'p')).toBe('10');
    ledger.forget('b');
    expect(ledger.versionOf('shop', 'p')).toBe('20');
  });

  test('is not known any more when its replica is not heard', () => {
    const ledger = told({ records: [version('10', 1)], proxies: [proxy('p', 1)] });
    ledger.silence('a');
    expect(ledger.versionOf('shop', 'p')).toBeUndefined();
  });

  test('never is newer than what it has taken, however many versions there were', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 200 }), fc.nat(400), (steps, acknowledged) => {
        const ledger = told({ proxies: [proxy('p', acknowledged)] });
        let state = 0;
        const all = steps.map((step, index) => {
          state += step;
          return version(String(index + 1), state);
        });
        for (const one of all) ledger.take('a', report({ records: [one] }));
        const found = ledger.versionOf('shop', 'p');
        const right = all.findLast((one) => one.state <= acknowledged)?.resourceVersion;
        // Of very old ones it is not remembered when they counted.
        expect([right, undefined]).toContain(found);
        if (all.length <= 64) expect(found).toBe(right);
      }),
    );
  });
});

describe('where newcomers begin', () => {
  test('is the oldest version that a replica renders from', () => {
    const ledger = told({ records: [version('10', 1), version('20', 2)] });
    ledger.expect('b');
    ledger.take('b', report({ records: [version('10', 7)] }));
    expect(ledger.renderedFrom('shop')).toBe('10');
  });

  test('does not depend on a replica that is not there any more, though its last words come later than that', () => {
    const ledger = told({ records: [version('10', 1)], proxies: [proxy('p', 1)] });
    ledger.expect('b');
    ledger.take('b', report({ records: [version('20', 7)] }));
    ledger.forget('a');
    ledger.take('a', report({ records: [version('10', 1)], proxies: [proxy('p', 1)] }));
    ledger.silence('a');
    expect(ledger.renderedFrom('shop')).toBe('20');
    expect(ledger.versionOf('shop', 'p')).toBeUndefined();
  });

  test('is not known where a replica has told nothing yet, or knows no record', () => {
    const ledger = told({ records: [version('10', 1)] });
    ledger.expect('b');
    expect(ledger.renderedFrom('shop')).toBeUndefined();
    ledger.take('b', report({}));
    expect(ledger.renderedFrom('shop')).toBeUndefined();
  });
});

test('refusals are told until their proxy takes something, or is gone', () => {
  const refusing = { ...proxy('p'), refused: 'no such thing' };
  const ledger = told({ proxies: [refusing] });
  expect(ledger.refused).toEqual([{ proxy: 'p', error: 'no such thing' }]);
  ledger.take('a', report({ proxies: [proxy('p', 3)] }));
  expect(ledger.refused).toEqual([]);
});
