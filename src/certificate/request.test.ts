import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorityView,
  certificateOf,
  DAY,
  makeCa,
  makeWorld,
  NOW,
  recordOf,
  specOf,
  type World,
} from './builders.fixture.ts';
import { honoured, judgementOf, lookAt } from './look.ts';
import { durationsOf, type RequestContext, requestFor } from './request.ts';

let world: World;

beforeAll(async () => {
  world = await makeWorld();
});

const request = (spec: object, changes: Partial<RequestContext> = {}) =>
  requestFor(specOf(spec), {
    now: NOW,
    namespace: 'shop',
    namespaceLabels: {},
    clusterDomain: 'cluster.local',
    authorityName: 'default',
    authority: world.authority,
    ...changes,
  });

describe('what is asked for', () => {
  test('with a service account is its SPIFFE ID as the only URI, for servers and clients', () => {
    const { profile, refusal } = request({ serviceAccountName: 'cart' });
    expect(refusal).toBeUndefined();
    expect(profile?.request.uris).toEqual(['spiffe://cluster.local/ns/shop/sa/cart']);
    expect(profile?.request.usages).toEqual(['server auth', 'client auth']);
  });

  test('without one carries no SPIFFE ID', () => {
    expect(request({}).profile?.request.uris).toEqual([]);
  });

  test('gives the same certificate in any order of names', () => {
    const names = ['a.shop.svc', 'b.shop.svc'];
    expect(request({ dnsNames: names }).profile?.request.dnsNames).toEqual(names);
    expect(request({ usages: ['client auth', 'server auth'] }).profile?.digest).toBe(request({}).profile?.digest);
  });

  test('has its durations in seconds', () => {
    expect(durationsOf(specOf({ duration: '1d12h', renewBefore: '90m' }))).toEqual({
      durationSeconds: 129_600,
      renewBeforeSeconds: 5400,
    });
    expect(durationsOf(specOf()).renewBeforeSeconds).toBeUndefined();
  });
});

describe('a request is refused', () => {
  test('says when the operator makes an authority by itself, where that one is missing', () => {
    const messageFor = (authorityName: string) => request({}, { authority: undefined, authorityName }).refusal?.message;
    expect(messageFor('default')).toContain('only with --create-default-authority');
    expect(messageFor('corporate')).toMatch(/or correct spec\.authorityRef\.name$/);
  });

  test.each<[string, () => ReturnType<typeof request>, string, string]>([
    ['without an authority', () => request({}, { authority: undefined }), 'AuthorityNotFound', 'create it'],
    ['for names of others', () => request({ dnsNames: ['web.bank.svc'] }), 'NamesDenied', 'web.bank.svc'],
    [
      'for a name that no certificate can have',
      () => request({ dnsNames: ['xn--a.shop.svc'] }),
      'RequestInvalid',
      'xn--a',
    ],
    [
      'where the authority cannot sign',
      () =>
        request(
          {},
          { authority: { ...world.authority, issuer: undefined, notReady: { reason: 'KeyMissing', message: 'gone' } } },
        ),
      'AuthorityNotReady',
      'KeyMissing',
    ],
    ['where the CA has ended', () => request({}, { now: NOW + 300 * DAY }), 'AuthorityNotReady', 'ended'],
  ])('%s', (_, asked, reason, text) => {
    expect(asked().refusal).toMatchObject({ reason, message: expect.stringContaining(text) });
  });

  test('for names outside of the CA’s constraints', async () => {
    const narrow = await makeCa({ name: 'narrow', nameConstraints: { permitted: { dnsDomains: ['bank.svc'] } } });
    const authority = authorityView(narrow, [narrow]);
    expect(request({}, { authority }).refusal).toMatchObject({
      reason: 'NamesDenied',
      message: expect.stringContaining('web.shop.svc'),
    });
  });

  test('and still says what it would be, so that a change of spec shows', () => {
    expect(request({ dnsNames: ['web.bank.svc'] }).profile).toBeDefined();
  });
});

describe('renew-at', () => {
  const look = (renewAt: string) => {
    const record = recordOf({}, { metadata: { annotations: { 'mtls-operator.io/renew-at': renewAt } } });
    const surroundings = { now: NOW, clusterDomain: 'cluster.local', namespaceLabels: {}, authority: world.authority };
    return lookAt(record, certificateOf(record), undefined, surroundings);
  };

  test.each(['2029-12-31T23:00:00Z', '2029-12-31T23:00:00.5Z', '2029-12-31t23:00:00z', '2029-12-31T23:00:00+02:00'])(
    '%s is a time',
    (text) => {
      expect(look(text).situation.renewAt?.text).toBe(text);
      expect(judgementOf(look(text), undefined).renewAtProblem).toBeUndefined();
      expect(honoured(look(text).situation)).toBe(text);
    },
  );

  test.each([
    '',
    'now',
    '2029-12-31',
    '2029-12-31T23:00:00',
    '2029-13-31T23:00:00Z',
    '1893456000',
    `2029-12-31T23:00:00.${'0'.repeat(200)}Z`,
  ])('"%s" is none, and its writer is told so', (text) => {
    expect(look(text).situation.renewAt).toBeUndefined();
    expect(judgementOf(look(text), undefined).renewAtProblem).toContain('RFC 3339');
  });

  test('that is still to come is not honoured', () => {
    expect(honoured(look('2031-01-01T00:00:00Z').situation)).toBeUndefined();
  });

  test('another one is another cause: the quarrel over the last one is over', () => {
    expect(look('2029-12-31T23:00:00Z').cause).not.toBe(look('2029-12-31T23:00:01Z').cause);
  });
});
