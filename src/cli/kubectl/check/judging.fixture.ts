/** How tests of the judges say what they expect. */
import { expect, test } from 'vitest';
import type { ParsedCertificate } from '../../../pki/index.ts';
import { type CheckReport, checkInstallation } from '../check.ts';
import { makeRoot, soundFacts } from './builders.fixture.ts';
import type { CheckFacts } from './facts.ts';

/** The root of the authority in all of them. */
export const root: ParsedCertificate = await makeRoot('root');

/** A sound installation but for this. */
export const checked = (more: Partial<CheckFacts> = {}): CheckReport =>
  checkInstallation({ ...soundFacts(root), ...more });

/** All that is not ok, as `error Webhook object: message`. */
export function troubles(more: Partial<CheckFacts>): string[] {
  return checked(more).findings.flatMap(({ check, message, object, result }) =>
    result === 'ok' ? [] : [`${result} ${check} ${object ?? '-'}: ${message}`],
  );
}

export type Case = readonly [name: string, facts: () => Partial<CheckFacts>, expected: readonly RegExp[]];

/** One test for each: all that is told of it, and no more. */
export function tells(cases: readonly Case[]): void {
  test.each(cases)('%s', (_, facts, expected) => {
    const found = troubles(facts());
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });
}
