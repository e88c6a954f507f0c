/** Two pods that reach each other by a link of their own, with a client in one and a server in the other. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Command, LaunchOptions } from '../../cluster/guardian.ts';
import { machinePath } from '../../node/machine.ts';
import { run } from '../../support/command.ts';
import { cpuMilliseconds } from '../harness.ts';
import { type LoadOrder, type Measured, measuredSchema } from './load.ts';

/** For benchmarks of networks (RFC 2544), and inside of the pods' own networks only. */
export const linkAddresses = { client: '198.18.0.1', server: '198.18.0.2', range: '198.18.0.0', length: 15 } as const;

/** A network in which programs can be started. */
export interface Place {
  /** A process in it. */
  readonly pid: number;
  launch(command: Command, options: LaunchOptions): ChildProcess;
  inside(program: string, args: readonly string[]): Promise<void>;
}

/** This machine forwards nothing between pods: they get a link past it. */
export async function linkPlaces(client: Place, server: Place): Promise<void> {
  const end = (place: Place): string[] => ['name', 'bench0', 'netns', String(place.pid)];
  const words = ['link', 'add', ...end(client), 'type', 'veth', 'peer', ...end(server)];
  await run('ip', words, { env: { PATH: machinePath } });
  for (const [place, address] of [
    [client, linkAddresses.client],
    [server, linkAddresses.server],
  ] as const) {
    await place.inside('ip', ['address', 'add', `${address}/30`, 'dev', 'bench0']);
    await place.inside('ip', ['link', 'set', 'bench0', 'up']);
  }
}

export async function startServer(place: Place): Promise<void> {
  const program = join(import.meta.dirname, 'server.ts');
  const { stdout } = place.launch([process.execPath, program], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (stdout === null) throw new Error('the server has no output');
  await once(stdout, 'data');
}

export class Load {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  constructor(place: Place) {
    const program = join(import.meta.dirname, 'load.ts');
    this.#child = place.launch([process.execPath, program], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('the client has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#ended = once(this.#child, 'exit').then(() => {
      throw new Error('the client of the bench has ended');
    });
    this.#ended.catch(() => {}); // with its pod, when all is done
  }

  /** One order at a time. */
  async measure(order: LoadOrder): Promise<Measured> {
    const answer = once(this.#lines, 'line');
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    const [line]: unknown[] = await Promise.race([answer, this.#ended]);
    return measuredSchema.parse(JSON.parse(String(line)));
  }
}

/** CPU time of all Envoys in a network, in milliseconds. */
export function envoyCpuMilliseconds({ pid }: Place): number {
  const network = readlinkSync(`/proc/${pid}/ns/net`);
  const found = readdirSync('/proc').filter((name) => {
    try {
      return (
        /^\d+$/.test(name) &&
        readFileSync(`/proc/${name}/comm`, 'utf8') === 'envoy\n' &&
        readlinkSync(`/proc/${name}/ns/net`) === network
      );
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
  if (found.length === 0) throw new Error('there is no Envoy');
  return found.reduce((sum, one) => sum + cpuMilliseconds(Number(one)), 0);
}
