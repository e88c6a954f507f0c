/** The faults, one after another, before an operator that has renewals to make all the time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Progress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Arena, kubeconfigThrough, operatorCommand } from './arena.ts';
import type { Summary } from './ledger.ts';
import { type Fault, type FaultProxy, type Rule, type SeenRequest, startFaultProxy } from './proxy.ts';
import { seededRandom } from './rules.ts';
import { Supervisor } from './supervisor.ts';
import { startWitness } from './witness.ts';
import { Workload } from './workload.ts';

export interface PhaseReport {
  readonly phase: string;
  readonly seconds: number;
  readonly injected: number;
  /** Certificates issued meanwhile, and how many of them were not needed. */
  readonly issued: number;
  readonly superfluous: number;
}

export interface FaultReport extends Summary {
  readonly seed: number;
  readonly phases: readonly PhaseReport[];
  readonly injected: Readonly<Record<string, number>>;
  readonly certificates: number;
  /** Writes of Secrets after everything was healed that nothing had made due. */
  readonly restless: number;
  readonly ends: readonly string[];
  readonly leaks: readonly string[];
}

interface Scene {
  readonly arena: Arena;
  readonly proxy: FaultProxy;
  readonly random: () => number;
  readonly ms: number;
  /** Notes a span in which the API server itself could not be written. */
  readonly outage: (work: () => Promise<void>) => Promise<void>;
}

interface Phase {
  readonly name: string;
  readonly rules?: readonly Rule[];
  /** What happens during it; default: time passes. */
  readonly act?: (scene: Scene) => Promise<void>;
  /** Comes after the silent watches have been noticed, as it would end them. */
  readonly breaksWatches?: boolean;
}

const isWatch = ({ verb }: SeenRequest): boolean => verb === 'watch';
const isWrite = ({ method }: SeenRequest): boolean => method !== 'GET';

const phases: readonly Phase[] = [
  {
    name: 'API server killed and started',
    act: ({ arena, outage, ms }) => during(ms, () => outage(() => arena.cluster.restartApiServer('SIGKILL'))),
  },
  {
    name: 'etcd killed and started',
    act: ({ arena, outage, ms }) => during(ms, () => outage(() => arena.cluster.restartEtcd('SIGKILL'))),
  },
  {
    name: 'API server restarted',
    act: ({ arena, outage, ms }) => during(ms, () => outage(() => arena.cluster.restartApiServer())),
  },
  {
    name: 'refused',
    act: async ({ proxy, random, ms }) => {
      const until = performance.now() + ms;
      while (performance.now() < until) {
        await proxy.refuse();
        await delay(500 + random() * 4_000);
        await proxy.accept();
        await delay(500 + random() * 1_000);
      }
    },
  },
  // Before the others, so that the 150 s after which the operator notices pass while they go on. What is made meanwhile is seen only then.
  {
    name: 'watches go silent',
    rules: [{ fault: { kind: 'silence' }, match: isWatch, count: 5 }],
    act: cutWatches,
  },
  { name: '429 with Retry-After', rules: [often({ kind: 'status', status: 429, retryAfterSeconds: 1 })] },
  { name: '500', rules: [often({ kind: 'status', status: 500 })] },
  { name: '503', rules: [often({ kind: 'status', status: 503, retryAfterSeconds: 1 })] },
  { name: 'reset before', rules: [often({ kind: 'reset' })] },
  {
    name: 'answer lost after the write',
    rules: [{ fault: { kind: 'lost-answer' }, match: isWrite, probability: 0.6 }],
  },
  { name: 'slow bytes', rules: [often({ kind: 'slow', bytesPerSecond: 4_000 })] },
  { name: 'truncated JSON', rules: [often({ kind: 'truncate' })] },
  {
    name: 'watch ERROR 410',
    rules: [{ fault: { kind: 'watch-error', afterEvents: 2 }, match: isWatch, probability: 0.9 }],
    act: cutWatches,
    breaksWatches: true,
  },
  {
    name: 'watches truncated',
    rules: [{ fault: { kind: 'truncate' }, match: isWatch, probability: 0.9 }],
    act: cutWatches,
    breaksWatches: true,
  },
];

function often(fault: Fault): Rule {
  return { fault, match: (request) => !isWatch(request), probability: 0.6 };
}

async function cutWatches({ proxy, ms }: Scene): Promise<void> {
  proxy.cut();
  await delay(ms);
}

/** Does the work, which takes its time, and lets at least `ms` pass. */
async function during(ms: number, work: () => Promise<void>): Promise<void> {
  await Promise.all([delay(ms), work()]);
}

/** A silent watch is noticed after 150 s. */
const silence = 220_000;
/** After this long (ms) at most an operator is at work again when the API server is. */
const recovery = 30_000;

export async function faultAfterFault(
  arena: Arena,
  options: {
    readonly seed: number;
    readonly certificates: number;
    readonly secondsEach: number;
    readonly namespace: string;
    readonly progress?: Progress;
  },
): Promise<FaultReport> {
  const { seed, certificates, secondsEach, namespace, progress } = options;
  const outages: [number, number][] = [];
  const random = seededRandom(seed);
  await using witness = startWitness(arena.cluster, { namespace, outages, graceMs: recovery });
  await using proxy = await startFaultProxy({ target: arena.cluster.url, ca: arena.cluster.caPem, seed });
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  for (let index = 0; index < certificates; index++) await workload.add();
  const program = operatorCommand(arena, { kubeconfig: kubeconfigThrough(arena, proxy) });
  await using operator = new Supervisor({ cluster: arena.cluster, program }).start();
  await witness.settled(operator);
  const scene: Scene = {
    arena,
    proxy,
    random,
    ms: secondsEach * 1_000,
    outage: async (work) => {
      const from = Date.now();
      await work();
      outages.push([from, Date.now()]);
    },
  };

  const reports: PhaseReport[] = [];
  for (const phase of phases) {
    if (phase.breaksWatches) await witness.settled(operator, silence);
    const before = tally(witness.ledger.summary);
    const started = performance.now();
    const rules = (phase.rules ?? []).map((rule) => proxy.add(rule));
    // One more in the middle of it, and one that changes.
    await Promise.all([phase.act?.(scene) ?? delay(scene.ms), workload.add(), workload.edit(random)]);
    // An operator that waits for its Lease sends next to nothing for a while.
    await waitFor(`"${phase.name}" to strike`, () => rules.every((rule) => rule.injected > 0), { timeoutMs: 60_000 });
    const injected = rules.reduce((sum, rule) => sum + rule.injected, 0);
    for (const rule of rules) rule.remove();
    // Each is judged alone: two outages on end are longer than the shortest certificate lasts.
    await witness.renewed(operator);
    const after = tally(witness.ledger.summary);
    const report = {
      phase: phase.name,
      seconds: Math.round((performance.now() - started) / 1000),
      injected,
      issued: after.issued - before.issued,
      superfluous: after.superfluous - before.superfluous,
    };
    reports.push(report);
    const { violations } = witness.ledger.summary;
    progress?.(
      `${phase.name}: ${report.seconds} s, ${injected} injected, ${report.issued} issued, ${report.superfluous} of them superfluous, ${violations.length} violations so far`,
    );
  }

  await proxy.heal();
  await witness.settled(operator);
  const restless = await restlessness(witness, scene.ms);
  const summary = await witness.end();
  await operator.stop();
  await workload.removeAll();
  const { ends, leaks } = operator;
  return {
    seed,
    phases: reports,
    injected: proxy.counters,
    certificates: workload.made,
    restless,
    ends,
    leaks,
    ...summary,
  };
}

/** Writes within `ms` that nothing made due. */
async function restlessness(witness: ReturnType<typeof startWitness>, ms: number): Promise<number> {
  const needless = ({ issuances, rewrites }: Summary) => issuances.superfluous + rewrites;
  const before = needless(witness.ledger.summary);
  await delay(ms);
  await witness.caughtUp();
  return needless(witness.ledger.summary) - before;
}

function tally({ issuances }: Summary): { issued: number; superfluous: number } {
  return {
    issued: Object.values(issuances).reduce((sum, count) => sum + count, 0),
    superfluous: issuances.superfluous,
  };
}
