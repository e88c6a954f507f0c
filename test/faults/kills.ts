/** `kill -9` of the operator, again and again, while certificates are made, edited, deleted and renewed. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Progress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Arena, operatorCommand } from './arena.ts';
import type { Summary } from './ledger.ts';
import { seededRandom } from './rules.ts';
import { Supervisor } from './supervisor.ts';
import { startWitness } from './witness.ts';
import { Workload } from './workload.ts';

export interface KillReport extends Summary {
  readonly seed: number;
  readonly kills: number;
  /** Of these, so many at the very moment at which a Secret had been written. */
  readonly killsAtWrites: number;
  /** How often the operator was let be because it had fallen behind. */
  readonly rests: number;
  readonly certificatesMade: number;
  /** Ends of the operator that were no kill. */
  readonly ends: readonly string[];
  readonly leaks: readonly string[];
}

/** No more than so many at a time: each is renewed four times a minute. */
const population = 30;
/** ms; a certificate lasts 45 s from when its renewal is due. */
const allowedDelay = 15_000;

/**
 * Every other kill comes at a random moment after the start, the others the moment a Secret has been written: before its status is, and often before the operator
 * has its answer.
 *
 * The operator leads without a Lease: a new one waits 15 s for the Lease of one that was killed to run out, which is all that would be tested most of the time.
 */
export async function killAgainAndAgain(
  arena: Arena,
  options: { readonly kills: number; readonly seed: number; readonly namespace: string; readonly progress?: Progress },
): Promise<KillReport> {
  const { kills, seed, namespace, progress } = options;
  const random = seededRandom(seed);
  await using witness = startWitness(arena.cluster, { namespace });
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  for (let index = 0; index < population / 2; index++) await workload.add();
  const started = performance.now();
  const program = operatorCommand(arena, { flags: ['--no-leader-elect'] });
  await using operator = new Supervisor({ cluster: arena.cluster, program }).start();
  await untilWrites(witness, 1, 0, 60_000);
  // A random moment is one of the start as often as one of the work after it, however slow the machine is.
  const span = 2 * (performance.now() - started);
  let killsAtWrites = 0;
  let rests = 0;
  for (let kill = 1; kill <= kills; kill++) {
    const atWrite = kill % 2 === 0;
    const wait = atWrite
      ? untilWrites(witness, 1 + Math.floor(random() * 3), random() * 4, 2 * span)
      : delay(random() * span);
    await workload.add();
    if (random() < 0.3) await workload.edit(random);
    if (workload.count > population) await workload.remove();
    if ((await wait) === 'written') killsAtWrites += 1;
    // On a machine so busy that the operator hardly gets to work between two kills, it is let be until it has made up for it.
    if (witness.ledger.overdue(allowedDelay).length > 0) {
      rests += 1;
      await waitFor('renewals to be made up for', () => witness.ledger.overdue(allowedDelay / 2).length === 0);
    }
    await operator.kill();
    if (kill % 50 === 0) {
      const { issuances, violations } = witness.ledger.summary;
      progress?.(`${kill} of ${kills} kills: ${JSON.stringify(issuances)}, ${violations.length} violations`);
      if (violations.length > 0) break;
    }
  }
  await witness.settled(operator);
  const summary = await witness.end();
  await operator.stop();
  await workload.removeAll();
  const { ends, leaks } = operator;
  return { seed, kills, killsAtWrites, rests, certificatesMade: workload.made, ends, leaks, ...summary };
}

/** Resolves once so many Secrets have been written and a few milliseconds more have gone by, or time is up. */
async function untilWrites(
  witness: ReturnType<typeof startWitness>,
  count: number,
  moreMs: number,
  timeoutMs: number,
): Promise<'written' | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'written' | 'late'>();
  let left = count;
  const stop = witness.onSecret(() => {
    left -= 1;
    if (left === 0) resolve('written');
  });
  const timer = setTimeout(() => resolve('late'), timeoutMs);
  const how = await promise;
  clearTimeout(timer);
  stop();
  // Half of them at once: a timer would let the answer through.
  if (how === 'written' && moreMs > 2) await delay(moreMs);
  return how;
}
