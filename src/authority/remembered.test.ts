import { beforeAll, describe, expect, test } from 'vitest';
import { annotations } from '../api/index.ts';
import { authorityObject, DAY, generationOf, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { planSelfSigned } from './lifecycle.ts';
import { selfSignedOutcome } from './outcome.ts';
import { generationsNote, rememberedOf } from './remembered.ts';
import { selfSignedSpec } from './selfSigned.ts';
import { authorityStatus } from './status.ts';

let root: TestCa;
let issuing: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root', notAfter: NOW + 3000 * DAY });
  issuing = await makeCa({ name: 'issuing', issuer: root, notAfter: NOW + 360 * DAY });
});

const spec = selfSignedSpec(authorityObject().spec);
if (spec === undefined) throw new Error('the default is selfSigned');
const generations = () => [generationOf('Root', 1, root), generationOf('Issuing', 1, issuing, { root })];
const nothing = { roots: [], issuers: [] };

/** An authority as a restore brings it back: without its status. */
function restored(change: (note: string) => string = (note) => note) {
  const before = authorityObject();
  const { findings } = selfSignedOutcome(
    before,
    planSelfSigned(spec ?? fail(), generations(), rememberedOf(before, nothing.roots, nothing.issuers), NOW),
  );
  const note = generationsNote(authorityStatus(before, findings, '2030-01-01T00:00:00Z').generations);
  return authorityObject({ metadata: { annotations: { [annotations.generations]: change(note) } } });
}

function fail(): never {
  throw new Error('the default is selfSigned');
}

const planOf = (found: Parameters<typeof planSelfSigned>[1], authority: ReturnType<typeof restored>) =>
  planSelfSigned(spec ?? fail(), found, rememberedOf(authority, [], []), NOW);

describe('an authority that was restored without its status', () => {
  test('before any of its Secrets makes nothing and misses them all', () => {
    const { step, problem, lost } = planOf([], restored());
    expect([step.step, problem?.reason]).toEqual(['None', 'KeyMissing']);
    expect(lost.map(({ role, secretName }) => `${role} ${secretName}`)).toEqual([
      'Root default-root-1',
      'Issuing default-issuing-1',
    ]);
  });

  test('goes on remembering them, look after look', () => {
    let authority = restored();
    for (const look of [1, 2, 3]) {
      const { findings } = selfSignedOutcome(authority, planOf([], authority));
      expect([look, findings.lost.length]).toEqual([look, 2]);
      const status = authorityStatus(authority, findings, '2030-01-01T00:00:00Z');
      const note = generationsNote(status.generations);
      expect(note).toBe(restored().metadata.annotations[annotations.generations]);
      authority = authorityObject({ status, metadata: { annotations: { [annotations.generations]: note } } });
    }
  });

  test('after its root misses the issuing CA, and after both nothing', () => {
    const [first, second] = generations();
    const half = planOf(first === undefined ? [] : [first], restored());
    expect([half.step.step, half.lost.map(({ role }) => role)]).toEqual(['None', ['Issuing']]);
    const whole = planOf(
      [first, second].filter((item) => item !== undefined),
      restored(),
    );
    expect([whole.step.step, whole.lost, whole.problem]).toEqual(['None', [], undefined]);
  });

  test('remembers an issuing CA whose Secret cannot be read, and misses it once that Secret is deleted to be restored', () => {
    const damaged = { authority: 'default', secretName: 'default-issuing-1', problem: 'unreadable' };
    const found = generations().slice(0, 1);
    const plan = planOf([...found, damaged], restored());
    expect([plan.step.step, plan.problem?.reason]).toEqual(['None', 'GenerationBroken']);
    const authority = restored();
    const { findings } = selfSignedOutcome(authority, plan);
    const status = authorityStatus(authority, findings, '2030-01-01T00:00:00Z');
    const note = generationsNote(status.generations);
    expect(note.split(',').sort().join()).toBe(
      restored().metadata.annotations[annotations.generations]?.split(',').sort().join(),
    );
    const later = authorityObject({ status, metadata: { annotations: { [annotations.generations]: note } } });
    const { step, problem } = planOf(found, later);
    expect([step.step, problem?.reason]).toEqual(['None', 'KeyMissing']);
    expect(problem?.message).toContain('"default-issuing-1"');
  });

  test.each([
    ['nonsense', () => 'x,,=/,default-root-1=abc/2030-01-01T00:00:00Z'],
    ['names of another authority', (note: string) => note.replaceAll('default-', 'other-')],
    ['impossible times', (note: string) => note.replaceAll(/\/\d{4}-\d\d/g, '/9999-99')],
  ])('and whose annotation holds %s goes on as a new one', (_, change) => {
    expect(planOf([], restored(change)).step).toEqual({ step: 'CreateRoot', number: 1 });
  });
});

test('an authority without CAs has no note', () => {
  expect([generationsNote(undefined), generationsNote([])]).toEqual(['', '']);
});
