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
  /** Of an operator under which N certificates are created, once per round: the median. */
  readonly operatorCpuMillisecondsPerCertificate: number;
  /** The same in the first round: the process has just started, and V8 compiles. */
  readonly startedOperatorCpuMillisecondsPerCertificate: number;
  readonly bareCpuMillisecondsPerCertificate: number;
  /** What a certificate costs the API server and etcd together, by the operator that starts before N certificates, and by the bare client. */
  readonly serverCpuMillisecondsPerCertificate: number;
  readonly bareServerCpuMillisecondsPerCertificate: number;
  /** Requests of that operator to the API server, by method, watches and the Lease included, over all rounds. */
  readonly operatorRequests: Readonly<Record<string, number>>;
}

const CONCURRENCY = 16;

export async function measureIssuing(count: number, rounds: number): Promise<IssueResult> {
  const bench = await openBench();
  try {
    // Makes the authority and what the bare client copies, and warms the API server up.
    await createNamespace(bench, 'warm');
    await createCertificates(bench, 'warm', 100);
    const warmUp = await bench.operator();
    const warm = new ReadyWatcher(bench.transport, 'warm');
    await warm.reached(100);
    await warm.stop();
    await warmUp.stop();

    const cpu = await operatorCpu(bench, count, rounds);
    const ours: Work[] = [];
    const bare: BareWork[] = [];
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await bareWork(bench, `bare-${round}`, count));
      ours.push(await ourWork(bench, `full-${round}`, count));
      printProgress(
        `  round ${round + 1}: ${ours.at(-1)?.rate.toFixed(0)} certificates/s, bare client ${bare.at(-1)?.rate.toFixed(0)}`,
      );
    }
    const median = <T>(samples: readonly T[], of: (sample: T) => number): number => quantile(samples.map(of), 0.5);
    const certificatesPerSecond = median(ours, ({ rate }) => rate);
    const bareCertificatesPerSecond = median(bare, ({ rate }) => rate);
    return {
      benchmark: 'issue',
      count,
      rounds,
      concurrency: CONCURRENCY,
      certificatesPerSecond,
      bareCertificatesPerSecond,
      ratio: Math.round((certificatesPerSecond / bareCertificatesPerSecond) * 100) / 100,
      operatorCpuMillisecondsPerCertificate: quantile(cpu.rounds, 0.5),
      startedOperatorCpuMillisecondsPerCertificate: quantile(cpu.rounds.slice(0, 1), 0.5),
      bareCpuMillisecondsPerCertificate: median(bare, ({ clientCpu }) => clientCpu),
      serverCpuMillisecondsPerCertificate: median(ours, ({ serverCpu }) => serverCpu),
      bareServerCpuMillisecondsPerCertificate: median(bare, ({ serverCpu }) => serverCpu),
      operatorRequests: cpu.requests,
    };
  } finally {
    await bench.close();
  }
}

interface Work {
  readonly rate: number;
  readonly serverCpu: number;
}

interface BareWork extends Work {
  readonly clientCpu: number;
}

/** One operator, under which `count` certificates are created again and again: its CPU per certificate, each time. */
async function operatorCpu(bench: Bench, count: number, rounds: number) {
  const operator = await bench.operator();
  const watching = await transportFor(bench.cluster.kubeconfig);
  const cpu: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const namespace = `ours-${round}`;
    await createNamespace(bench, namespace);
    const watcher = new ReadyWatcher(watching, namespace);
    const before = cpuMilliseconds(operator.pid);
    await createCertificates(bench, namespace, count);
    await watcher.reached(count);
    cpu.push((cpuMilliseconds(operator.pid) - before) / count);
    await watcher.stop();
    printProgress(`  ${cpu.at(-1)?.toFixed(2)} ms of the operator's CPU per certificate`);
    await deleteAll(bench, namespace);
  }
  await watching.close();
  const requests = requestsOf(await operator.metrics());
  await operator.stop();
  return { rounds: cpu, requests };
}

/** The bare client's writes for certificates that nobody else looks at. */
async function bareWork(bench: Bench, namespace: string, count: number): Promise<BareWork> {
  await createNamespace(bench, namespace);
  await createCertificates(bench, namespace, count);
  // The same watcher beside both: it costs the API server and the machine as much as a third of the work.
  const watching = await transportFor(bench.cluster.kubeconfig);
  const watcher = new ReadyWatcher(watching, namespace);
  const before = serverCpuMilliseconds(bench);
  const result = await runScript('bare.ts', [
    // The same user as the operator: what it costs to authenticate and to authorize it is the same.
    bench.operatorKubeconfig,
    'warm',
    namespace,
    String(count),
    String(CONCURRENCY),
  ]);
  await watcher.reached(count);
  const serverCpu = (serverCpuMilliseconds(bench) - before) / count;
  await watcher.stop();
  await watching.close();
  // The operator would set right what the bare client wrote, and neither side writes beside more objects than the other.
  await deleteAll(bench, namespace);
  return { rate: rateOf(watcher.times), serverCpu, clientCpu: Number(result['cpuMilliseconds']) / count };
}

/** Certificates that were created while no operator ran, issued by one that starts: nobody else loads the machine meanwhile. */
async function ourWork(bench: Bench, namespace: string, count: number): Promise<Work> {
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
  await deleteAll(bench, namespace);
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

function requestsOf(metrics: string): Record<string, number> {
  const requests: Record<string, number> = {};
  for (const [, code, method, value] of metrics.matchAll(
    /^rest_client_requests_total\{code="([^"]+)",method="([A-Z]+)"[^}]*\} (\d+)$/gm,
  )) {
    const key = `${method} ${code}`;
    requests[key] = (requests[key] ?? 0) + Number(value);
  }
  return requests;
}
