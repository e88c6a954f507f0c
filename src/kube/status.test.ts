import { describe, expect, test } from 'vitest';
import { apiErrorOf, watchError } from './status.ts';

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

test('a Status becomes an error with its reason, message, causes and object', () => {
  const body = {
    kind: 'Status',
    status: 'Failure',
    message: 'Secret "web" is invalid: type: field is immutable',
    reason: 'Invalid',
    details: {
      name: 'web',
      kind: 'Secret',
      causes: [{ reason: 'FieldValueInvalid', field: 'type', message: 'immutable' }],
    },
    code: 422,
  };
  expect(apiErrorOf(answer(422, body), 0)).toMatchObject({
    status: 422,
    reason: 'Invalid',
    message: 'Secret "web" is invalid: type: field is immutable',
    about: 'Secret/web',
    causes: [{ reason: 'FieldValueInvalid', field: 'type', message: 'immutable' }],
  });
});

test.each([
  ['a load balancer that speaks HTML', '<html>502 Bad Gateway</html>'],
  ['nothing', ''],
  ['half a Status', '{"kind":"Status","mess'],
  ['an array', '[]'],
  ['a Status with wrong types', { kind: 'Status', message: 7, reason: {}, details: 'x', code: 'y' }],
])('%s becomes an error that tells the HTTP status', (_name, body) => {
  const error = apiErrorOf(answer(502, body), 0);
  expect([error.status, error.reason, error.message]).toEqual([502, 'HTTP 502', 'the API server answered HTTP 502']);
});

describe('how long to wait', () => {
  test.each([
    ['the header', { 'retry-after': '2' }, {}, 2_000],
    ['the Status', {}, { retryAfterSeconds: 3 }, 3_000],
    ['the header before the Status', { 'retry-after': '2' }, { retryAfterSeconds: 3 }, 2_000],
    ['nobody', {}, {}, undefined],
    ['a Status that says a year', {}, { retryAfterSeconds: 31_536_000 }, 300_000],
    ['a Status that says nonsense', {}, { retryAfterSeconds: -5 }, undefined],
  ])('%s', (_name, headers, details, ms) => {
    expect(apiErrorOf(answer(429, { kind: 'Status', details }, headers), 0).retryAfterMs).toBe(ms);
  });
});

test('a message that is long or has control characters is cut and cleaned: it goes to logs and conditions', () => {
  const error = apiErrorOf(answer(400, { kind: 'Status', message: `a\r\n\u001b[31m${'x'.repeat(5_000)}` }), 0);
  expect(error.message).toMatch(/^a \[31mx+$/);
  expect(error.message.length).toBeLessThan(2_001);
});

test('the ERROR event of a watch carries its own code', () => {
  expect(watchError({ kind: 'Status', code: 410, reason: 'Expired' })).toMatchObject({
    status: 410,
    reason: 'Expired',
  });
  expect(watchError('garbage')).toMatchObject({ status: 500 });
});
