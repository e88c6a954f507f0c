/** The operator's clock jumps, and comes back. */
import { fileURLToPath } from 'node:url';
import type { Progress } from '../support/progress.ts';
import type { Arena } from './arena.ts';
import type { Summary } from './ledger.ts';
import { Supervisor } from './supervisor.ts';
import { startWitness } from './witness.ts';
import { shortLife, Workload } from './workload.ts';

const hour = 3_600_000;

/** Where the clock stands in turn, in ms from the machine's. */
const positions = [hour, 0, -hour, 0, 48 * hour, 0] as const;

const longLife = { duration: '24h' };

export interface JumpReport extends Summary {
  readonly certificates: number;
  /** Certificates issued because of it, by the place to which the clock was put, in hours. */
  readonly issued: readonly { readonly hours: number; readonly count: number }[];
  readonly ends: readonly string[];
  readonly leaks: readonly string[];
}

export const clockOperator = fileURLToPath(new URL('clockOperator.ts', import.meta.url));

export async function jumpAndComeBack(
  arena: Arena,
  options: { readonly certificates: number; readonly namespace: string; readonly progress?: Progress },
): Promise<JumpReport> {
  const { certificates, namespace, progress } = options;
  const clockJumps: [number, number][] = [];
  await using witness = startWitness(arena.cluster, { namespace, clockJumps });
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  for (let index = 0; index < certificates; index++) await workload.add(index % 2 === 0 ? shortLife : longLife);
  await using operator = new Supervisor({
    cluster: arena.cluster,
    program: [clockOperator, arena.kubeconfig],
    ipc: true,
  }).start();
  await witness.settled(operator);
  const issued: { hours: number; count: number }[] = [];
  for (const position of positions) {
    const before = count(witness.ledger.summary);
    clockJumps.push([Date.now(), position]);
    operator.send({ jump: position });
    await witness.settledByClock(operator);
    const report = { hours: position / hour, count: count(witness.ledger.summary) - before };
    issued.push(report);
    progress?.(`clock at ${report.hours} h: ${report.count} issued`);
  }
  const summary = await witness.end();
  await operator.stop();
  await workload.removeAll();
  const { ends, leaks } = operator;
  return { certificates, issued, ends, leaks, ...summary };
}

function count({ issuances }: Summary): number {
  return issuances.clock;
}
