import { beforeAll, describe, expect, test } from 'vitest';
import { type AuthorityView, caIdOf } from '../authority/index.ts';
import {
  authorityView,
  certificateOf,
  issuedSecret,
  makeCa,
  makeWorld,
  NOW,
  recordOf,
  type World,
} from './builders.fixture.ts';
import { lookAt, outrunsAuthority } from './look.ts';
import type { SecretRecord } from './secretRecord.ts';

const HOUR = 3_600_000;
let world: World;
/** Of an issuing CA that the authority does not know. */
let secret: SecretRecord;
let strangerId: string;

beforeAll(async () => {
  world = await makeWorld();
  const stranger = await makeCa({ name: 'issuing 1', issuer: world.root });
  strangerId = caIdOf(stranger.certificate);
  const before = { ...world, authority: authorityView(stranger, [world.root]) };
  secret = (await issuedSecret(before)).secret;
});

function look(
  change: { record?: object; secret?: Partial<SecretRecord>; authority?: Partial<AuthorityView>; at?: number } = {},
) {
  const record = recordOf(change.record);
  return lookAt(
    record,
    certificateOf(record),
    { ...secret, ...change.secret },
    {
      now: change.at ?? NOW + HOUR,
      clusterDomain: 'cluster.local',
      namespaceLabels: {},
      authority: { ...world.authority, soughtIssuers: new Set(), ...change.authority },
    },
  );
}

describe('a leaf of a CA that the authority does not know', () => {
  test('is not judged before the authority has looked for that CA', () => {
    expect(look().decision).toMatchObject({ action: 'issue', reason: 'AuthorityChanged' });
    expect(outrunsAuthority(look())).toBe(true);
    expect(outrunsAuthority(look({ authority: { soughtIssuers: new Set(['another']) } }))).toBe(true);
  });

  test.each([
    ['was looked for in vain', () => look({ authority: { soughtIssuers: new Set([strangerId]) } })],
    [
      'is none of those that leaves tell of: the CA was brought along',
      () => look({ authority: { soughtIssuers: undefined } }),
    ],
    ['was another authority’s', () => look({ secret: { authority: 'other' } })],
    ['is behind a leaf that the authority never sees', () => look({ secret: { labelled: false } })],
    ['is behind a leaf that is due for renewal', () => look({ at: NOW + 20 * HOUR })],
    ['is behind a leaf that has ended', () => look({ at: NOW + 100 * HOUR })],
    ['is behind a leaf that is not what is asked for', () => look({ record: { dnsNames: ['other.shop.svc'] } })],
  ])('is issued anew at once where the CA %s', (_, found) => {
    expect(found().decision.action).toBe('issue');
    expect(outrunsAuthority(found())).toBe(false);
  });
});
