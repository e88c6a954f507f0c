/**
 * What a whole mesh costs proxy-api, with simulated proxies at the other end: a switch of everything from Disabled to Strict, one pod more that everybody is told of, and all proxies
 * that come at once.
 */
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { cpuMilliseconds, peakMegabytes, quantile, residentMegabytes } from './harness.ts';
import { now } from './mesh/proxy.ts';
import { Scene, type SceneOptions } from './mesh/scene.ts';

export interface SwitchResult {
  readonly benchmark: 'switch';
  readonly proxies: number;
  readonly services: number;
  readonly destinationsOfEachProxy: number;
  readonly rounds: readonly SwitchRound[];
  readonly proxyApiResidentMegabytes: number;
  readonly proxyApiPeakMegabytes: number;
  readonly onePodAdded: PodAdded;
  readonly reconnectKnown: Reconnect;
  readonly reconnectCold: Reconnect;
  /** A server that does nothing but send as many messages and bytes as the last round's two waves: its CPU, and what proxy-api took beside it. */
  readonly bareCpuMilliseconds: number;
  readonly cpuOfBare: number;
}

interface Wave {
  /** From the first write of a record until a proxy has acknowledged the last that it was sent, over all proxies. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Until the leader has heard of all of them. */
  readonly heardByLeaderMilliseconds: number;
  /** Until all records were written. */
  readonly recordsWrittenMilliseconds: number;
  readonly messagesOfEachProxy: number;
  readonly resourcesOfEachProxy: number;
  readonly megabytes: number;
  readonly cpuMilliseconds: number;
}

interface SwitchRound {
  readonly clients: Wave;
  readonly servers: Wave;
  /** Over both waves. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Of all steps: those that follow tell proxies nothing. */
  readonly proxyApiCpuMilliseconds: number;
}

interface PodAdded {
  readonly fewestMessagesOfAProxy: number;
  readonly mostMessagesOfAProxy: number;
  readonly proxyApiCpuMilliseconds: number;
}

interface Reconnect {
  readonly seconds: number;
  readonly proxyApiCpuMilliseconds: number;
  readonly megabytes: number;
  readonly proxyApiPeakMegabytes: number;
}

export const switchGoals =
  'p99 over both waves ≤ 3 s; proxy-api ≤ 2 s of CPU and ≤ 450 MB; one pod added: one message each, ≤ 500 ms of CPU; reconnecting ≤ 15 s with versions known, ≤ 60 s cold';

export async function measureSwitch(options: SceneOptions, rounds: number): Promise<SwitchResult> {
  const scene = await Scene.open(options);
  try {
    const reconnectCold = await reconnect(scene, true);
    const { known } = await scene.proxies.look();
    const made: SwitchRound[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      made.push(await measureRound(scene));
      printProgress(`  round ${round}: ${JSON.stringify(made.at(-1))}`);
      if (round < rounds) await back(scene);
    }
    const memory = {
      proxyApiResidentMegabytes: residentMegabytes(scene.proxyApi.pid),
      proxyApiPeakMegabytes: peakMegabytes(scene.proxyApi.pid),
    };
    const onePodAdded = await addPod(scene);
    await scene.restart();
    const reconnectKnown = await reconnect(scene, false);
    const last = made.at(-1);
    if (last === undefined) throw new Error('there was no round');
    const bareCpuMilliseconds = await measureBare(scene, [last.clients, last.servers]);
    return {
      benchmark: 'switch',
      proxies: options.proxies,
      services: options.services,
      destinationsOfEachProxy: quantile(known, 0.5),
      rounds: made,
      ...memory,
      onePodAdded,
      reconnectKnown,
      reconnectCold,
      bareCpuMilliseconds,
      cpuOfBare: Math.round((last.proxyApiCpuMilliseconds / bareCpuMilliseconds) * 100) / 100,
    };
  } finally {
    await scene.close();
  }
}

async function measureRound(scene: Scene): Promise<SwitchRound> {
  const cpu = cpuMilliseconds(scene.proxyApi.pid);
  const clients = await wave(scene);
  const servers = await wave(scene);
  // Draining, settled: the leader's own affair.
  for (let versions = await scene.records.step('Strict'); versions !== undefined; ) {
    await scene.taken(versions);
    versions = await scene.records.step('Strict');
  }
  await scene.quiet();
  const both = clients.taken.map((taken, index) => taken + (servers.taken[index] ?? 0));
  return {
    clients: clients.is,
    servers: servers.is,
    p50Milliseconds: quantile(both, 0.5),
    p99Milliseconds: quantile(both, 0.99),
    proxyApiCpuMilliseconds: cpuMilliseconds(scene.proxyApi.pid) - cpu,
  };
}

async function wave(scene: Scene): Promise<{ readonly is: Wave; readonly taken: readonly number[] }> {
  const { proxies, proxyApi, records } = scene;
  await proxies.mark();
  const cpu = cpuMilliseconds(proxyApi.pid);
  const begun = now();
  const versions = await records.step('Strict');
  if (versions === undefined) throw new Error('there is no such wave');
  const written = now();
  await scene.taken(versions);
  const heard = now();
  const { bytes, lastAcknowledged, messages, resources } = await scene.quiet();
  const taken = lastAcknowledged.map((at) => Math.max(0, at - begun));
  return {
    taken,
    is: {
      p50Milliseconds: quantile(taken, 0.5),
      p99Milliseconds: quantile(taken, 0.99),
      heardByLeaderMilliseconds: Math.round(heard - begun),
      recordsWrittenMilliseconds: Math.round(written - begun),
      messagesOfEachProxy: quantile(messages, 0.5),
      resourcesOfEachProxy: quantile(resources, 0.5),
      megabytes: megabytes(bytes),
      cpuMilliseconds: cpuMilliseconds(proxyApi.pid) - cpu,
    },
  };
}

/** To where the next round begins. */
async function back(scene: Scene): Promise<void> {
  for (let versions = await scene.records.step('Disabled'); versions !== undefined; ) {
    await scene.taken(versions);
    versions = await scene.records.step('Disabled');
  }
  await scene.quiet();
}

async function addPod(scene: Scene): Promise<PodAdded> {
  printProgress('  one pod more');
  const { maker, proxies, proxyApi } = scene;
  await proxies.mark();
  const cpu = cpuMilliseconds(proxyApi.pid);
  await maker.addPodToShared();
  await waitFor('everybody to be told', async () => Math.min(...(await proxies.look()).messages) > 0, {
    timeoutMs: 60_000,
    intervalMs: 500,
  });
  const { messages } = await scene.quiet();
  return {
    fewestMessagesOfAProxy: Math.min(...messages),
    mostMessagesOfAProxy: Math.max(...messages),
    proxyApiCpuMilliseconds: cpuMilliseconds(proxyApi.pid) - cpu,
  };
}

/** All at once, until the leader has heard of each that it has everything. */
async function reconnect(scene: Scene, cold: boolean): Promise<Reconnect> {
  printProgress(`  all proxies connect, ${cold ? 'without anything' : 'with what they had'}`);
  const { proxies, proxyApi, records } = scene;
  await proxies.mark();
  const cpu = cpuMilliseconds(proxyApi.pid);
  const begun = now();
  await proxies.open(proxyApi.ports.port, cold);
  await waitFor(
    'every proxy to have everything',
    async () => {
      const { complete, ended, why } = await proxies.look();
      if (complete < scene.mesh.pods.length)
        throw new Error(`${complete} have, ${ended} streams have ended (${why ?? 'none'})`);
      return true;
    },
    { timeoutMs: 300_000, intervalMs: 200 },
  );
  await scene.taken(records.versions, 300_000);
  const seconds = Math.round((now() - begun) / 100) / 10;
  const { bytes } = await scene.quiet();
  return {
    seconds,
    proxyApiCpuMilliseconds: cpuMilliseconds(proxyApi.pid) - cpu,
    megabytes: megabytes(bytes),
    proxyApiPeakMegabytes: peakMegabytes(proxyApi.pid),
  };
}

async function measureBare(scene: Scene, waves: readonly Wave[]): Promise<number> {
  printProgress('  the same by a server that only sends');
  const { mesh, proxies } = scene;
  const bare = await scene.bare();
  await proxies.mark();
  await scene.quiet();
  const cpu = cpuMilliseconds(bare.pid);
  let expected = 0;
  for (const wave of waves) {
    await bare.send(wave.messagesOfEachProxy, (wave.megabytes * 1e6) / mesh.pods.length);
    expected += wave.messagesOfEachProxy;
    await waitFor('everything to have come', async () => Math.min(...(await proxies.look()).messages) >= expected, {
      timeoutMs: 60_000,
      intervalMs: 200,
    });
  }
  await scene.quiet();
  const taken = cpuMilliseconds(bare.pid) - cpu;
  bare.end();
  return taken;
}

function megabytes(bytes: readonly number[]): number {
  return Math.round(bytes.reduce((sum, one) => sum + one, 0) / 1e5) / 10;
}
