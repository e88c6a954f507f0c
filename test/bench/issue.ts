/** Certificates per second, against a bare client that makes the same two writes; they take turns in one run. */

import { printProgress } from '../support/progress.ts';
import {
  type Bench,
  cpuMilliseconds,
  createCertificates,
  createNamespace,
  deleteAll,
  openBench,
  quantile,
  ReadyWatcher,
  runScript,
  transportFor,
} from './harness.ts';

export interface IssueResult {
  readonly benchmark: 'issue';
  readonly count: number;
  readonly rounds: number;
  readonly concurrency: number;
  readonly certificatesPerSecond: number;
  readonly bareCertificatesPerSecond: number;
  /** Ours divided by the bare client's, medians. */
  readonly ratio: number;
  readonly operatorCpuMillisecondsPerCertificate: number;
  readonly bareCpuMillisecondsPerCertificate: number;
  /** What a certificate costs the API server and etcd together, by the operator that starts before N certificates, and by the bare client. */
  readonly serverCpuMillisecondsPerCertificate: number;
  readonly bareServerCpuMillisecondsPerCertificate: number;
  /** Requests of the operator to the API server, by method, watches and the Lease included, over all rounds. */
  readonly operatorRequests: Readonly<Record<string, number>>;
}

const CONCURRENCY = 16;

export async function measureIssuing(count: number, rounds: number): Promise<IssueResult> {
  const bench = await openBench();
  try {
    const ours: number[] = [];
    const bare: number[] = [];
    const ourCpu: number[] = [];
    const bareCpu: number[] = [];
    const serverCpu: number[] = [];
    const bareServerCpu: number[] = [];
    const requests: Record<string, number> = {};
    // Makes the authority and what the bare client copies, and warms the API server up.
    await createNamespace(bench, 'warm');
    await createCertificates(bench, 'warm', 100);
    const warmUp = await bench.operator();
    const warm = new ReadyWatcher(bench.transport, 'warm');
    await warm.reached(100);
    await warm.stop();
    await warmUp.stop();
    for (let round = 0; round < rounds; round += 1) {
      await createNamespace(bench, `bare-${round}`);
      await createCertificates(bench, `bare-${round}`, count);
      // The same watcher beside both: it costs the API server and the machine as much as a third of the work.
      const bareWatching = await transportFor(bench.cluster.kubeconfig);
      const bareWatcher = new ReadyWatcher(bareWatching, `bare-${round}`);
      const bareServerBefore = serverCpuMilliseconds(bench);
      const result = await runScript('bare.ts', [
        bench.cluster.kubeconfig,
        'warm',
        `bare-${round}`,
        String(count),
        String(CONCURRENCY),
      ]);
      await bareWatcher.reached(count);
      bareServerCpu.push((serverCpuMilliseconds(bench) - bareServerBefore) / count);
      bare.push(rateOf(bareWatcher.times));
      await bareWatcher.stop();
      await bareWatching.close();
      bareCpu.push(Number(result['cpuMilliseconds']) / count);
      // The operator would set right what the bare client wrote.
      await deleteAll(bench, `bare-${round}`);

      const namespace = `ours-${round}`;
      await createNamespace(bench, namespace);
      const operator = await bench.operator();
      const watching = await transportFor(bench.cluster.kubeconfig);
      const watcher = new ReadyWatcher(watching, namespace);
      const before = cpuMilliseconds(operator.pid);
      await createCertificates(bench, namespace, count);
      await watcher.reached(count);
      ourCpu.push((cpuMilliseconds(operator.pid) - before) / count);
      await watcher.stop();
      await watching.close();
      countRequests(await operator.metrics(), requests);
      await operator.stop();
      // Neither side writes beside more objects than the other.
      await deleteAll(bench, namespace);
      const full = await throughput(bench, round, count);
      await deleteAll(bench, `full-${round}`);
      ours.push(full.rate);
      serverCpu.push(full.serverCpu);
      printProgress(
        `  round ${round + 1}: ${ours.at(-1)?.toFixed(0)} certificates/s, bare client ${bare.at(-1)?.toFixed(0)}`,
      );
    }
    const certificatesPerSecond = quantile(ours, 0.5);
    const bareCertificatesPerSecond = quantile(bare, 0.5);
    return {
      benchmark: 'issue',
      count,
      rounds,
      concurrency: CONCURRENCY,
      certificatesPerSecond,
      bareCertificatesPerSecond,
      ratio: Math.round((certificatesPerSecond / bareCertificatesPerSecond) * 100) / 100,
      operatorCpuMillisecondsPerCertificate: quantile(ourCpu, 0.5),
      bareCpuMillisecondsPerCertificate: quantile(bareCpu, 0.5),
      serverCpuMillisecondsPerCertificate: quantile(serverCpu, 0.5),
      bareServerCpuMillisecondsPerCertificate: quantile(bareServerCpu, 0.5),
      operatorRequests: requests,
    };
  } finally {
    await bench.close();
  }
}

/** Certificates that were created while no operator ran, issued by one that starts: nobody else loads the machine meanwhile. */
async function throughput(bench: Bench, round: number, count: number) {
  const namespace = `full-${round}`;
  await createNamespace(bench, namespace);
  await createCertificates(bench, namespace, count);
  const watching = await transportFor(bench.cluster.kubeconfig);
  const watcher = new ReadyWatcher(watching, namespace);
  const serverBefore = serverCpuMilliseconds(bench);
  const operator = await bench.operator({ noWait: true });
  await watcher.reached(count);
  const serverCpu = (serverCpuMilliseconds(bench) - serverBefore) / count;
  await watcher.stop();
  await watching.close();
  await operator.stop();
  return { rate: rateOf(watcher.times), serverCpu };
}

function serverCpuMilliseconds({ cluster: { apiServer, etcd } }: Bench): number {
  const of = ({ pid }: { pid: number | undefined }): number => (pid === undefined ? 0 : cpuMilliseconds(pid));
  return of(apiServer) + of(etcd);
}

/** Per second, from the first status to the last: there is one certificate less than there are statuses. */
function rateOf(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return ((sorted.length - 1) * 1000) / ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0));
}

function countRequests(metrics: string, into: Record<string, number>): void {
  for (const [, code, method, value] of metrics.matchAll(
    /^rest_client_requests_total\{code="([^"]+)",method="([A-Z]+)"[^}]*\} (\d+)$/gm,
  )) {
    const key = `${method} ${code}`;
    into[key] = (into[key] ?? 0) + Number(value);
  }
}
