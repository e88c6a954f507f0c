/** Weeks of watches that end and begin again, in minutes: does the memory grow? */
import { setTimeout as delay } from 'node:timers/promises';
import { asRecord } from '../../src/kube/index.ts';
import type { Progress } from '../support/progress.ts';
import { type Arena, kubeconfigThrough } from './arena.ts';
import { clockOperator } from './clock.ts';
import { startFaultProxy } from './proxy.ts';
import { Supervisor } from './supervisor.ts';
import { startWitness } from './witness.ts';
import { Workload } from './workload.ts';

export interface SoakReport {
  readonly seconds: number;
  /** Watches that were begun. */
  readonly watches: number;
  /** What they are worth in real time: the operator has five, and each lasts 5 to 10 minutes. */
  readonly weeks: number;
  /** Heap in use after a full garbage collection, in MB: after a tenth of the time, then at even intervals. */
  readonly heapMegabytes: readonly number[];
  readonly residentMegabytes: readonly number[];
  /** Heap at the end less heap at the beginning. */
  readonly growthMegabytes: number;
  readonly ends: readonly string[];
}

/** The operator's time runs so many times faster, so that its pauses before the next watch are short. */
const speed = 100;
const cutEveryMs = 500;
const watchesPerWeek = (5 * 7 * 24 * 60) / 7.5;
const measurements = 5;

export async function soak(
  arena: Arena,
  options: {
    readonly seconds: number;
    readonly certificates: number;
    readonly namespace: string;
    readonly progress?: Progress;
  },
): Promise<SoakReport> {
  const { seconds, certificates, namespace, progress } = options;
  await using witness = startWitness(arena.cluster, { namespace });
  await using proxy = await startFaultProxy({ target: arena.cluster.url, ca: arena.cluster.caPem });
  let watches = 0;
  proxy.add({
    fault: { kind: 'reset' },
    match: ({ verb }) => {
      if (verb === 'watch') watches += 1;
      return false;
    },
  });
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  for (let index = 0; index < certificates; index++) await workload.add({ duration: '720h' });
  const program = ['--expose-gc', clockOperator, kubeconfigThrough(arena, proxy), String(speed)];
  await using operator = new Supervisor({ cluster: arena.cluster, program, ipc: true }).start();
  await witness.settled(operator);
  const heap: number[] = [];
  const resident: number[] = [];
  // Most begin anew with a LIST at once; now and then all connections break, and watches go on from where they were.
  proxy.add({ fault: { kind: 'watch-error' }, match: ({ verb }) => verb === 'watch', probability: 0.9 });
  proxy.cut();
  const until = performance.now() + seconds * 1_000;
  const measureAt = Array.from(
    { length: measurements },
    (_, index) => until - seconds * 900 * (1 - index / (measurements - 1)),
  );
  for (const at of measureAt) {
    while (performance.now() < at) {
      await delay(cutEveryMs);
      proxy.cut();
    }
    // In quiet, or what is under way would be measured.
    await delay(1_000);
    operator.send({ measure: true });
    const memory = asRecord(await operator.message());
    heap.push(megabytes(memory['heapUsed']));
    resident.push(megabytes(memory['rss']));
    progress?.(`${watches} watches, heap ${heap.at(-1)} MB, resident ${resident.at(-1)} MB`);
  }
  await operator.stop();
  await workload.removeAll();
  return {
    seconds,
    watches,
    weeks: Math.round((watches / watchesPerWeek) * 10) / 10,
    heapMegabytes: heap,
    residentMegabytes: resident,
    growthMegabytes: Math.round(((heap.at(-1) ?? 0) - (heap[0] ?? 0)) * 100) / 100,
    ends: operator.ends,
  };
}

function megabytes(bytes: unknown): number {
  return Math.round(Number(bytes) / 10_000) / 100;
}
