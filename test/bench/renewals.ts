/**
 * 5,000 renewals that fall due within a minute of each other, 24 h lifetimes: how late they come, and what the API server's other users notice of them.
 */
import { resourcePath } from '../../src/kube/index.ts';
import { printProgress } from '../support/progress.ts';
import {
  type Bench,
  createCertificates,
  createNamespace,
  openBench,
  quantile,
  ReadyWatcher,
  transportFor,
} from './harness.ts';

export interface RenewalsResult {
  readonly benchmark: 'renewals';
  readonly certificates: number;
  /** From the moment at which all fall due to a running operator, until the last one is renewed. */
  readonly secondsUntilAllRenewed: number;
  /** What renewBefore allows. */
  readonly allowedSeconds: number;
  readonly renewedTooLate: number;
  /** GETs of another user, the operator at rest. */
  readonly idleP50Milliseconds: number;
  readonly idleP99Milliseconds: number;
  /** The same GETs while the renewals go on. */
  readonly pacedP50Milliseconds: number;
  readonly pacedP99Milliseconds: number;
  readonly p99Ratio: number;
}

const HOUR = 3_600_000;

export async function measureRenewals(certificates: number): Promise<RenewalsResult> {
  const bench = await openBench();
  try {
    await createNamespace(bench, 'due');
    printProgress(`creating and issuing ${certificates} certificates`);
    await createCertificates(bench, 'due', certificates);
    // 16 h and some minutes on: every certificate is past its renewal time, with almost a third of its life left.
    const operator = await bench.operator({ jumpMs: 16 * HOUR + 5 * 60_000 });
    const watching = await transportFor(bench.cluster.kubeconfig);
    const watcher = new ReadyWatcher(watching, 'due', { serials: true });
    await watcher.reached(certificates);
    printProgress('another user, with the operator at rest');
    const idle = await probe(bench, async () => {
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });
    printProgress('renewing, paced');
    const started = performance.now();
    process.kill(operator.pid, 'SIGUSR2');
    await watcher.reached(certificates + 1);
    const paced = await probe(bench, () => watcher.reached(2 * certificates));
    const times = watcher.times.slice(certificates).map((at) => (at - started) / 1000);
    await watcher.stop();
    await operator.stop();
    await watching.close();
    const allowedSeconds = 8 * 3600 - 5 * 60;
    return {
      benchmark: 'renewals',
      certificates,
      secondsUntilAllRenewed: quantile(times, 1),
      allowedSeconds,
      renewedTooLate: times.filter((time) => time > allowedSeconds).length,
      idleP50Milliseconds: quantile(idle, 0.5),
      idleP99Milliseconds: quantile(idle, 0.99),
      pacedP50Milliseconds: quantile(paced, 0.5),
      pacedP99Milliseconds: quantile(paced, 0.99),
      p99Ratio: Math.round((quantile(paced, 0.99) / quantile(idle, 0.99)) * 100) / 100,
    };
  } finally {
    await bench.close();
  }
}

/** Another user's GETs, about fifty a second, while something goes on: their durations in milliseconds. */
async function probe({ transport, signal }: Bench, meanwhile: () => Promise<void>): Promise<number[]> {
  const samples: number[] = [];
  let over = false;
  const probing = (async () => {
    while (!over) {
      const started = performance.now();
      const path = resourcePath({ group: '', version: 'v1', plural: 'namespaces' }, undefined, 'default');
      await transport.request({ method: 'GET', path, signal });
      samples.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await meanwhile();
  over = true;
  await probing;
  return samples;
}
