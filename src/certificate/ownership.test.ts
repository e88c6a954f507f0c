import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { issuedSecret, makeWorld } from './builders.fixture.ts';
import { type Claimant, judgeOwnership } from './ownership.ts';
import type { SecretRecord } from './secretRecord.ts';

let ours: SecretRecord;

beforeAll(async () => {
  ours = (await issuedSecret(await makeWorld())).secret;
});

const place = { namespace: 'shop', secretName: 'web-mtls' };
const claimant = (name: string, created = 1000, uid = `uid-${name}`): Claimant => ({ name, uid, created });
const judge = (changes: Partial<SecretRecord> | undefined, who: Claimant, ...rivals: Claimant[]) =>
  judgeOwnership(place, changes && { ...ours, ...changes }, who, rivals)?.reason;

describe('a Secret that is not ours is left alone', () => {
  test.each<[string, Partial<SecretRecord>, string]>([
    ['Opaque', { type: 'Opaque', holder: undefined }, 'SecretTypeConflict'],
    ['Opaque, though it says that it is ours', { type: 'Opaque' }, 'SecretTypeConflict'],
    [
      'a service account token',
      { type: 'kubernetes.io/service-account-token', holder: undefined },
      'SecretTypeConflict',
    ],
    ['Opaque, handed over', { type: 'Opaque', holder: undefined, adopt: 'web' }, 'SecretTypeConflict'],
    ['TLS of somebody else', { holder: undefined }, 'SecretConflict'],
    ['TLS, handed to another', { holder: undefined, adopt: 'api' }, 'SecretConflict'],
    ['immutable', { immutable: true }, 'SecretImmutable'],
    ['immutable and handed over', { holder: undefined, adopt: 'web', immutable: true }, 'SecretImmutable'],
  ])('%s', (_, changes, reason) => {
    expect(judge(changes, claimant('web'))).toBe(reason);
  });

  test('and its user is told what to do', () => {
    const refusal = judgeOwnership(place, { ...ours, holder: undefined }, claimant('web'), []);
    expect(refusal?.message).toContain('kubectl annotate secret web-mtls -n shop mtls-operator.io/adopt=web');
  });

  test('and is not told to hand over what is immutable, which would lead nowhere', () => {
    const refusal = judgeOwnership(place, { ...ours, holder: undefined, immutable: true }, claimant('web'), []);
    expect(refusal?.reason).toBe('SecretConflict');
    expect(refusal?.message).toContain('delete that one if nobody needs it');
    expect(refusal?.message).not.toContain('kubectl annotate');
  });
});

describe('a Secret may be written', () => {
  test.each<[string, Partial<SecretRecord> | undefined]>([
    ['that does not exist', undefined],
    ['that names us', {}],
    ['that names us, of a restored object with another UID', { ownerUid: 'old' }],
    ['that is handed over', { holder: undefined, adopt: 'web' }],
    ['whose holder asks for it no more', { holder: 'gone' }],
  ])('%s', (_, changes) => {
    expect(judge(changes, claimant('web'))).toBeUndefined();
  });
});

describe('of several that ask for one Secret', () => {
  test('the holder keeps it, though it is younger, while it asks for it', () => {
    expect(judge({ holder: 'young' }, claimant('young', 9000), claimant('old', 1))).toBeUndefined();
    expect(judge({ holder: 'young' }, claimant('old', 1), claimant('young', 9000))).toBe('SecretConflict');
    expect(judge({ holder: 'young', adopt: 'old' }, claimant('old', 1), claimant('young', 9000))).toBe(
      'SecretConflict',
    );
  });

  test('the older gets it where there is none, or its holder asks for it no more', () => {
    for (const changes of [undefined, { holder: 'gone' }]) {
      expect(judge(changes, claimant('old', 1), claimant('young', 9000))).toBeUndefined();
      expect(judge(changes, claimant('young', 9000), claimant('old', 1))).toBe('SecretConflict');
    }
  });

  test('made in the same second, the one with the smaller UID gets it', () => {
    expect(judge(undefined, claimant('b', 1, 'uid-1'), claimant('a', 1, 'uid-2'))).toBeUndefined();
    expect(judge(undefined, claimant('a', 1, 'uid-2'), claimant('b', 1, 'uid-1'))).toBe('SecretConflict');
  });

  test('it goes to whom it is handed, where its holder asks for it no more', () => {
    expect(judge({ holder: 'gone', adopt: 'young' }, claimant('young', 9000), claimant('old', 1))).toBeUndefined();
  });

  test('property: without a word on the Secret, exactly one may write it, whoever judges', () => {
    const claimants = fc.uniqueArray(
      fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd', 'e'), created: fc.integer({ min: 0, max: 3 }) }),
      {
        minLength: 1,
        selector: ({ name }) => name,
      },
    );
    const holders = fc.option(fc.constantFrom('a', 'b', 'gone'), { nil: undefined });
    fc.assert(
      fc.property(claimants, holders, (all, holder) => {
        const everyone = all.map(({ name, created }) => claimant(name, created));
        const winners = everyone.filter(
          (who) =>
            judge(holder === undefined ? undefined : { holder }, who, ...everyone.filter((other) => other !== who)) ===
            undefined,
        );
        expect(winners).toHaveLength(1);
        if (all.some(({ name }) => name === holder)) expect(winners[0]?.name).toBe(holder);
      }),
    );
  });
});
