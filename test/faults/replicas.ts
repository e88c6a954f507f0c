/** Two replicas of the operator, each with a way of its own to the API server, and what befalls the one that leads. */

import type { Progress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Arena, kubeconfigThrough, operatorCommand } from './arena.ts';
import type { Summary } from './ledger.ts';
import { type FaultProxy, type SeenRequest, startFaultProxy } from './proxy.ts';
import { Supervisor } from './supervisor.ts';
import { startWitness, type Witness } from './witness.ts';
import { Workload } from './workload.ts';

/** What befalls the leader: it is killed, stands still, is cut off, or is asked to end. */
export type Blow = 'kill' | 'freeze' | 'partition' | 'stop';

export interface TakeoverReport extends Summary {
  readonly blow: Blow;
  readonly certificates: number;
  /** Written by the one that led first. */
  readonly writtenBefore: number;
  /** From the blow until the other has written a Secret. */
  readonly secondsUntilTaken: number;
  /** How the former leader ended where nobody killed it: frozen or cut off, it has to end by itself. */
  readonly formerEnds: readonly string[];
  readonly leaks: readonly string[];
}

/** The Lease of one that is gone runs out after 15 s, and another looks every 2 s. */
const takeover = { timeoutMs: 60_000, intervalMs: 100 };

interface Replica {
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly operator: Supervisor;
}

export class Replicas implements AsyncDisposable {
  readonly all: readonly Replica[];
  readonly #arena: Arena;

  private constructor(arena: Arena, all: readonly Replica[]) {
    this.#arena = arena;
    this.all = all;
  }

  /** Resolves when one of them leads. */
  static async start(arena: Arena, names: readonly string[]): Promise<Replicas> {
    const { cluster } = arena;
    const all: Replica[] = [];
    const replicas = new Replicas(arena, all);
    try {
      for (const name of names) {
        const proxy = await startFaultProxy({ target: cluster.url, ca: cluster.caPem });
        const program = operatorCommand(arena, { kubeconfig: kubeconfigThrough(arena, proxy, name) });
        all.push({ name, proxy, operator: new Supervisor({ cluster, program, env: { POD_NAME: name } }).start() });
      }
      await replicas.leader();
      return replicas;
    } catch (error) {
      await replicas[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The one that holds the Lease, as the API server has it, as soon as one does; `other` than a given one. */
  async leader(other?: Replica): Promise<Replica> {
    const args = ['get', 'lease', 'mtls-operator', '-n', 'mtls-system', '-o', 'jsonpath={.spec.holderIdentity}'];
    const look = async (): Promise<Replica | undefined> => {
      const holder = await this.#arena.cluster.kubectl(args);
      return this.all.find((replica) => replica !== other && holder.startsWith(`${replica.name}_`));
    };
    return await waitFor('a replica to hold the Lease', look, takeover);
  }

  get leaks(): string[] {
    return this.all.flatMap(({ operator }) => operator.leaks);
  }

  /** What both have said, for errors. */
  get talker() {
    return {
      lines: this.all.flatMap(({ operator }) => operator.lines.slice(-6)),
      ends: this.all.flatMap(({ operator }) => operator.ends),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { operator, proxy } of this.all) {
      // Its orderly end has to reach the API server.
      await proxy.heal();
      await operator.stop();
      await proxy.close();
    }
  }
}

/** A blow befalls the leader in the middle of so many issuances; the other has to do the rest. */
export async function takeOver(
  arena: Arena,
  options: {
    readonly blow: Blow;
    readonly certificates: number;
    readonly namespace: string;
    readonly progress?: Progress;
  },
): Promise<TakeoverReport> {
  const { blow, certificates, namespace, progress } = options;
  await using witness = startWitness(arena.cluster, { namespace });
  await using replicas = await Replicas.start(arena, [`${namespace}-a`, `${namespace}-b`]);
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  const former = await replicas.leader();
  const struck = nthWrite(witness, namespace, Math.floor(certificates / 5));
  const made = addMany(workload, certificates);
  await struck;
  const undo = await strike(former, blow);
  const at = performance.now();
  const writtenBefore = witness.ledger.summary.issuances.first;
  const next = await replicas.leader(former);
  await nthWrite(witness, namespace, 1);
  const secondsUntilTaken = Math.round((performance.now() - at) / 100) / 10;
  progress?.(`${blow}: ${next.name} wrote ${secondsUntilTaken} s later`);
  await made;
  await undo();
  await witness.settled(replicas.talker, 120_000);
  if (blow === 'freeze' || blow === 'partition')
    await waitFor('the former leader to end', () => former.operator.ends.length > 0, takeover);
  const summary = await witness.end();
  await workload.removeAll();
  const { ends: formerEnds } = former.operator;
  return { blow, certificates, writtenBefore, secondsUntilTaken, formerEnds, leaks: replicas.leaks, ...summary };
}

/** @returns what mends it. */
async function strike({ operator, proxy }: Replica, blow: Blow): Promise<() => Promise<void>> {
  switch (blow) {
    case 'kill':
      await operator.kill();
      return async () => {};
    case 'stop':
      await operator.kill('SIGTERM');
      return async () => {};
    case 'freeze':
      operator.freeze();
      return async () => operator.thaw();
    case 'partition':
      // Nothing comes through and nothing says so, as with a switch that is unplugged.
      proxy.add({ fault: { kind: 'silence' } });
      proxy.cut();
      return () => proxy.heal();
  }
}

export interface LateWriteReport extends Summary {
  /** What the API server answered to the former leader's write when it arrived at last. */
  readonly lateAnswer: number;
  readonly formerEnds: readonly string[];
  /** Serial numbers in the Secret's certificate when the new leader had written, and in the end. */
  readonly serials: readonly [taken: string, last: string];
}

/**
 * The leader signs and sends, and stands still; its write is under way until another has taken over and written the same Secret. Then it arrives.
 *
 * @param write the first issuance (POST) or a further one (PUT)
 */
export async function lateWrite(
  arena: Arena,
  { write, namespace }: { readonly write: 'POST' | 'PUT'; readonly namespace: string },
): Promise<LateWriteReport> {
  await using witness = startWitness(arena.cluster, { namespace });
  await using replicas = await Replicas.start(arena, [`${namespace}-a`, `${namespace}-b`]);
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  const former = await replicas.leader();
  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<number>();
  const hold = () =>
    former.proxy.add({
      fault: { kind: 'hold', until: release.promise, onHeld: held.resolve, onAnswer: answered.resolve },
      match: (request: SeenRequest) =>
        request.method === write && request.resource === 'secrets' && request.namespace === namespace,
      count: 1,
    });
  if (write === 'POST') hold();
  const name = await workload.add({ duration: '24h' });
  if (write === 'PUT') {
    await witness.settled(replicas.talker);
    hold();
    await workload.edit(Math.random);
  }
  await held.promise;
  former.operator.freeze();
  const written = nthWrite(witness, namespace, 1);
  await replicas.leader(former);
  await written;
  await witness.settled(replicas.talker);
  const taken = await serialOf(arena, namespace, name);
  release.resolve();
  const lateAnswer = await answered.promise;
  former.operator.thaw();
  await waitFor('the former leader to end', () => former.operator.ends.length > 0, takeover);
  await witness.settled(replicas.talker);
  const last = await serialOf(arena, namespace, name);
  const summary = await witness.end();
  await workload.removeAll();
  return { lateAnswer, formerEnds: former.operator.ends, serials: [taken, last], ...summary };
}

/** Every replica is replaced, one after another, twice over, while short-lived certificates have to be renewed all the time. */
export async function rollOut(
  arena: Arena,
  { certificates, namespace }: { readonly certificates: number; readonly namespace: string },
): Promise<Summary & { readonly ends: readonly string[] }> {
  await using witness = startWitness(arena.cluster, { namespace });
  await using replicas = await Replicas.start(arena, [`${namespace}-a`, `${namespace}-b`]);
  const workload = new Workload(arena.client, namespace);
  await workload.createNamespace();
  await addMany(workload, certificates, { duration: '1m', renewBefore: '45s' });
  await witness.settled(replicas.talker);
  for (const { operator } of [...replicas.all, ...replicas.all]) {
    await operator.kill('SIGTERM');
    await nthWrite(witness, namespace, certificates);
  }
  await witness.settled(replicas.talker);
  const { ends } = replicas.talker;
  const summary = await witness.end();
  await workload.removeAll();
  return { ends, ...summary };
}

async function addMany(
  workload: Workload,
  count: number,
  life: { readonly duration: string; readonly renewBefore?: string } = { duration: '24h' },
): Promise<void> {
  const lane = async (): Promise<void> => {
    while (workload.made < count) await workload.add(life);
  };
  await Promise.all(Array.from({ length: 4 }, lane));
}

async function serialOf({ cluster }: Arena, namespace: string, name: string): Promise<string> {
  return await cluster.kubectl(['get', 'wcert', name, '-n', namespace, '-o', 'jsonpath={.status.serialNumber}']);
}

/** Resolves when so many Secrets of the namespace have been written from now on. */
async function nthWrite(witness: Witness, namespace: string, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  const stop = witness.onSecret((key) => {
    if (!key.startsWith(`/registry/secrets/${namespace}/`)) return;
    left -= 1;
    if (left <= 0) resolve();
  });
  await promise;
  stop();
}
