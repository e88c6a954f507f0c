/** How long nobody issues when the leader of two replicas is killed, stands still, is cut off or is asked to end. */
import { startArena } from '../faults/arena.ts';
import { type Blow, takeOver } from '../faults/replicas.ts';
import { printProgress } from '../support/progress.ts';

export interface FailoverResult {
  readonly benchmark: 'failover';
  readonly certificates: number;
  /** From the blow until the other replica has written a Secret. */
  readonly secondsAfterKill: number;
  readonly secondsAfterFreeze: number;
  readonly secondsAfterPartition: number;
  readonly secondsAfterCleanStop: number;
}

export async function measureFailover(certificates: number): Promise<FailoverResult> {
  await using arena = await startArena(printProgress);
  const seconds = async (blow: Blow): Promise<number> => {
    const report = await takeOver(arena, { blow, certificates, namespace: blow });
    if (report.issuances.first !== certificates) throw new Error(`${blow}: ${JSON.stringify(report.issuances)}`);
    return report.secondsUntilTaken;
  };
  return {
    benchmark: 'failover',
    certificates,
    secondsAfterKill: await seconds('kill'),
    secondsAfterFreeze: await seconds('freeze'),
    secondsAfterPartition: await seconds('partition'),
    secondsAfterCleanStop: await seconds('stop'),
  };
}
