/** Resident memory with many certificates, the time until all are judged after a start, and what a start with nothing to do writes. */

import { printProgress } from '../support/progress.ts';
import {
  createCertificates,
  createNamespace,
  openBench,
  ReadyWatcher,
  residentMegabytes,
  transportFor,
} from './harness.ts';

export interface MemoryResult {
  readonly benchmark: 'memory';
  readonly certificates: number;
  /** After all have been judged by a freshly started operator. */
  readonly residentMegabytesAfterStart: number;
  /** After every one of them was renewed by that same process. */
  readonly residentMegabytesAfterRenewal: number;
  readonly secondsUntilAllJudged: number;
  /** Requests of a start with nothing to do other than GET, the Lease included, watches excluded. */
  readonly writesOfIdleStart: Readonly<Record<string, number>>;
  readonly renewalsPerSecondAtFullSpeed: number;
}

const DAY = 86_400_000;

export async function measureMemory(certificates: number): Promise<MemoryResult> {
  const bench = await openBench();
  try {
    await createNamespace(bench, 'many');
    printProgress(`creating ${certificates} WorkloadCertificates`);
    await createCertificates(bench, 'many', certificates);
    printProgress('issuing');
    const first = await bench.operator();
    const watching = await transportFor(bench.cluster.kubeconfig);
    const issued = new ReadyWatcher(watching, 'many');
    await issued.reached(certificates);
    await issued.stop();
    await first.stop();

    const leader = ['--create-default-authority'];
    const started = performance.now();
    const idle = await bench.operator({ flags: leader });
    const secondsUntilAllJudged = (performance.now() - started) / 1000;
    await settle();
    const residentMegabytesAfterStart = residentMegabytes(idle.pid);
    const writesOfIdleStart = writes(await idle.metrics());
    await idle.stop();

    printProgress('renewing');
    // A day later everything has expired: all of it is renewed as fast as it goes, the worst case for memory.
    const renewed = new ReadyWatcher(watching, 'many', { serials: true });
    await renewed.reached(certificates);
    const renewalStarted = performance.now();
    const renewing = await bench.operator({ clockOffsetMs: DAY + 60_000, noWait: true });
    await renewed.reached(2 * certificates);
    const renewalSeconds = (performance.now() - renewalStarted) / 1000;
    await renewed.stop();
    await settle();
    const residentMegabytesAfterRenewal = residentMegabytes(renewing.pid);
    await renewing.stop();
    await watching.close();
    return {
      benchmark: 'memory',
      certificates,
      residentMegabytesAfterStart,
      residentMegabytesAfterRenewal,
      secondsUntilAllJudged: Math.round(secondsUntilAllJudged * 100) / 100,
      writesOfIdleStart,
      renewalsPerSecondAtFullSpeed: Math.round(certificates / renewalSeconds),
    };
  } finally {
    await bench.close();
  }
}

/** As an operator is most of the time: a while after its work. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20_000));
}

function writes(metrics: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [, code, method, value] of metrics.matchAll(
    /^rest_client_requests_total\{code="([^"]+)",method="([A-Z]+)"[^}]*\} (\d+)$/gm,
  )) {
    if (method !== 'GET') found[`${method} ${code}`] = Number(value);
  }
  return found;
}
