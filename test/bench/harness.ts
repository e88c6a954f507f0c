/** What the benchmarks share: a cluster without audit log, the bundled operator beside it, a bare client, and figures read from /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildOperator, operatorEnvironment, operatorNodeFlags } from '../../build.ts';
import { workloadCertificateKind } from '../../src/api/index.ts';
import {
  createMetrics,
  createTransport,
  loadConnection,
  resourcePath,
  silentLog,
  systemClock,
  type Transport,
} from '../../src/kube/index.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import {
  installOperator,
  OPERATOR_NAMESPACE,
  type OperatorProcess,
  startOperatorProcess,
} from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';

export const SECRETS = { group: '', version: 'v1', plural: 'secrets' } as const;
const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces' } as const;
const CLOCK_TICKS_PER_SECOND = 100;

export interface Bench {
  readonly cluster: Cluster;
  readonly transport: Transport;
  readonly signal: AbortSignal;
  /** Of the operator's own service account. */
  readonly operatorKubeconfig: string;
  /** Starts the bundled operator; its wall clock jumps by `clockOffsetMs` at once, or by `jumpMs` when the process gets SIGUSR2. */
  operator(options?: {
    clockOffsetMs?: number;
    jumpMs?: number;
    flags?: readonly string[];
    noWait?: boolean;
  }): Promise<OperatorProcess>;
  close(): Promise<void>;
}

export async function openBench(): Promise<Bench> {
  const bundle = await buildOperator();
  const cluster = await startCluster({ audit: 'off', log: printProgress });
  await installOperator(cluster);
  const transport = await transportFor(cluster.kubeconfig);
  // A token, as in a pod: a client certificate is verified at each request, which costs the API server 5 % of all that a certificate costs it.
  const operatorKubeconfig = await cluster.kubeconfigForServiceAccount({
    namespace: OPERATOR_NAMESPACE,
    name: 'mtls-operator',
  });
  return {
    cluster,
    transport,
    signal: new AbortController().signal,
    operatorKubeconfig,
    async operator({
      clockOffsetMs = 0,
      jumpMs = 0,
      flags = ['--create-default-authority', '--no-leader-elect'],
      noWait = false,
    } = {}) {
      const script =
        clockOffsetMs === 0 && jumpMs === 0
          ? []
          : [
              '--import',
              `data:text/javascript,const now = Date.now; let offset = ${clockOffsetMs}; Date.now = () => now() + offset; process.on('SIGUSR2', () => { offset = ${jumpMs}; });`,
            ];
      const program = [...operatorNodeFlags, ...script, bundle];
      return await startOperatorProcess(cluster, {
        kubeconfig: operatorKubeconfig,
        env: operatorEnvironment,
        program,
        flags,
        noWait,
        readyTimeoutMs: 600_000,
      });
    },
    async close() {
      await transport.close();
      await cluster.stop();
    },
  };
}

export async function transportFor(kubeconfig: string, maxConnections = 32): Promise<Transport> {
  const connection = await loadConnection({ kubeconfig });
  const metrics = createMetrics({ process: false });
  return createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics,
    log: silentLog,
    userAgent: 'mtls-operator-bench',
    maxConnections,
  });
}

/** Runs `work` for 0..count-1, `concurrency` at a time. */
export async function inParallel(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

export async function createNamespace({ transport, signal }: Bench, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await transport.request({ method: 'POST', path: resourcePath(NAMESPACES), body, signal });
}

export function certificateBody(namespace: string, index: number, spec: Readonly<Record<string, unknown>> = {}) {
  const name = `w${index}`;
  return {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata: { namespace, name },
    spec: { secretName: `${name}-mtls`, serviceAccountName: name, dnsNames: [`${name}.${namespace}.svc`], ...spec },
  };
}

export async function createCertificates(
  bench: Bench,
  namespace: string,
  count: number,
  spec?: Readonly<Record<string, unknown>>,
): Promise<void> {
  let done = 0;
  await inParallel(count, 16, async (index) => {
    const body = certificateBody(namespace, index, spec);
    await bench.transport.request({
      method: 'POST',
      path: workloadCertificateKind.path(namespace),
      body,
      signal: bench.signal,
    });
    done += 1;
    if (done % 5000 === 0) printProgress(`  ${done} of ${count} WorkloadCertificates created`);
  });
}

/** Removes the WorkloadCertificates and Secrets of a namespace. */
export async function deleteAll({ transport, signal }: Bench, namespace: string): Promise<void> {
  for (const path of [workloadCertificateKind.path(namespace), resourcePath(SECRETS, namespace)]) {
    await transport.request({ method: 'DELETE', path, signal, deadlineMs: 300_000 });
  }
}

/** CPU time of a process so far, user and system, in milliseconds. */
export function cpuMilliseconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS_PER_SECOND;
}

/** Resident memory of a process, in megabytes of 10^6 bytes. */
export function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round((Number(kilobytes) * 1024) / 1e5) / 10;
}

/** The most that it was since the process began. */
export function peakMegabytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round((Number(kilobytes) * 1024) / 1e5) / 10;
}

/** The value at quantile `q` of samples that are sorted here. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  if (value === undefined) throw new Error('no samples');
  return Math.round(value * 100) / 100;
}

/** A child script that prints one line of JSON when it is done. */
export async function runScript(script: string, args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const [code]: unknown[] = await once(child, 'close');
  if (code !== 0) throw new Error(`${script} ended with ${String(code)}`);
  const parsed: unknown = JSON.parse(lines.at(-1) ?? '{}');
  return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
}

/** Counts the certificates of a namespace as they become Ready, as a watcher beside operator and bare client sees them. */
export class ReadyWatcher {
  readonly #stop = new AbortController();
  readonly #at = new Map<string, number>();
  readonly #waiters: { count: number; resolve: () => void }[] = [];
  readonly #done: Promise<void>;
  readonly #serial: boolean;

  /** @param options.serials count every new serial number, not only the first. */
  constructor(transport: Transport, namespace: string, options: { serials?: boolean } = {}) {
    this.#serial = options.serials === true;
    this.#done = this.#watch(transport, namespace).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  /** Again from the present state whenever the API server ends it, as it does to a watcher that cannot follow. */
  async #watch(transport: Transport, namespace: string): Promise<void> {
    const path = workloadCertificateKind.path(namespace);
    const query = { watch: 'true', resourceVersion: '0', allowWatchBookmarks: 'true' };
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for await (const event of transport.watch({ path, query, idleMs: 600_000, signal })) this.#take(event);
    }
  }

  #take(event: unknown): void {
    const text = JSON.stringify(event);
    if (!text.includes('"reason":"Ready"')) return;
    const name = /"name":"([^"]+)"/.exec(text.slice(text.indexOf('"metadata"')))?.[1] ?? '';
    const key = this.#serial ? `${name} ${/"serialNumber":"([^"]+)"/.exec(text)?.[1]}` : name;
    if (!this.#at.has(key)) this.#at.set(key, performance.now());
    for (const waiter of this.#waiters) if (this.#at.size >= waiter.count) waiter.resolve();
  }

  get times(): readonly number[] {
    return [...this.#at.values()];
  }

  async reached(count: number): Promise<void> {
    if (this.#at.size >= count) return;
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}
