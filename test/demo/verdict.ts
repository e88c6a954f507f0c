/** Whether what was seen is what `npm start` promises. Pure. */
import { grouped } from './format.ts';

/** Renewals that both sides have to go through. */
export const wantedRenewals = 3;

export interface Seen {
  readonly handshakes: number;
  readonly failures: number;
  readonly firstError: string | undefined;
  readonly renewals: Readonly<Record<'server' | 'client', number>>;
  /** A program that ended and should not have. */
  readonly broken: string | undefined;
}

/** @returns what is wrong, one sentence each; empty if all is well */
export function problemsOf(seen: Seen): string[] {
  const { handshakes, failures, firstError, renewals, broken } = seen;
  const problems: string[] = [];
  if (broken !== undefined) problems.push(broken);
  if (handshakes === 0) problems.push('no handshake was made');
  if (failures > 0) problems.push(`${grouped(failures)} failed, the first with: ${firstError ?? 'unknown'}`);
  for (const [who, count] of Object.entries(renewals)) {
    if (count < wantedRenewals) problems.push(`the ${who} was renewed ${count} times and not ${wantedRenewals}`);
  }
  return problems;
}
