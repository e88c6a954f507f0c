/** A server and a client under load, and what is seen of their renewals: by the other side, in handshakes. */
import { join } from 'node:path';
import type { GuardedDirectory } from '../cluster/guardian.ts';
import { ExampleProgram, exampleCommand, type PeerLine } from '../support/exampleProgram.ts';
import { type Mount, mountSecret } from '../support/mount.ts';
import type { Progress } from '../support/progress.ts';
import type { Renewal } from './format.ts';

export interface PairOptions {
  readonly guarded: GuardedDirectory;
  /** Who may read the Secrets. */
  readonly kubeconfig: string;
  readonly progress: Progress;
  /** Called for each renewal that the other side has seen in a handshake. */
  readonly onRenewal: (renewal: Renewal) => void;
}

export type Who = 'server' | 'client';

/** The certificates that one side has used, oldest first. */
export interface History {
  readonly certificates: readonly PeerLine[];
  /** The least that a replaced certificate had left to live, ms. */
  readonly leastLeft: number;
}

export class Pair {
  readonly server: ExampleProgram;
  readonly client: ExampleProgram;
  readonly startedAt: number;
  readonly #mounts: readonly Mount[];
  readonly #leastLeft: Record<Who, number> = { server: Number.POSITIVE_INFINITY, client: Number.POSITIVE_INFINITY };
  #stopping = false;

  private constructor(
    server: ExampleProgram,
    client: ExampleProgram,
    mounts: readonly Mount[],
    startedAt: number,
    onRenewal: PairOptions['onRenewal'],
  ) {
    this.server = server;
    this.client = client;
    this.#mounts = mounts;
    this.startedAt = startedAt;
    // Each side tells of the other's certificate.
    this.#follow('server', client, onRenewal);
    this.#follow('client', server, onRenewal);
  }

  /** Starts the programs of examples/go with the Secrets of examples/server-and-client.yaml. */
  static async start(options: PairOptions): Promise<Pair> {
    const { guarded, kubeconfig, progress } = options;
    const commands = {
      server: await exampleCommand('go', 'server', progress),
      client: await exampleCommand('go', 'client', progress),
    };
    const mounts: Mount[] = [];
    const mount = async (who: Who): Promise<string> => {
      const directory = join(guarded.path, who);
      mounts.push(await mountSecret({ kubeconfig, namespace: 'demo', secretName: `${who}-mtls`, directory }));
      return directory;
    };
    const serverDirectory = await mount('server');
    const clientDirectory = await mount('client');
    const serverArgs = ['-certs', serverDirectory, '-listen', '127.0.0.1:0'];
    const server = ExampleProgram.launch('the server', guarded, [...commands.server, ...serverArgs]);
    const address = await server.serving();
    const load = ['-connect', address, '-server-name', 'server.demo.svc', '-every', '10ms'];
    const clientArgs = ['-certs', clientDirectory, ...load];
    const client = ExampleProgram.launch('the client', guarded, [...commands.client, ...clientArgs]);
    return new Pair(server, client, mounts, performance.now(), options.onRenewal);
  }

  get handshakes(): number {
    return this.client.handshakes;
  }

  /** Failed connections as the client saw them, failed handshakes as the server did. One of them may well be both. */
  get failures(): number {
    return this.client.failures + this.server.failures;
  }

  /** What went wrong first, if anything did. */
  get firstError(): string | undefined {
    return this.client.errors[0] ?? this.server.errors[0];
  }

  /** Whether a program ended that should not have. */
  get broken(): string | undefined {
    const ended = this.#stopping ? undefined : [this.server, this.client].find((program) => program.exited);
    return ended === undefined
      ? undefined
      : `${ended.name} has ended with code ${ended.code}: ${ended.stray || (ended.errors.at(-1) ?? '')}`;
  }

  history(who: Who): History {
    const certificates = (who === 'server' ? this.client : this.server).peers;
    return { certificates, leastLeft: this.#leastLeft[who] };
  }

  renewals(who: Who): number {
    return Math.max(0, this.history(who).certificates.length - 1);
  }

  /** Ends the client first, between two connections, so that the end is no failure. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.client.stop();
    await this.server.stop();
    await Promise.all(this.#mounts.map((mount) => mount.stop()));
  }

  #follow(who: Who, observer: ExampleProgram, onRenewal: PairOptions['onRenewal']): void {
    observer.onLine((line) => {
      if (line.msg !== 'peer') return;
      const [before] = observer.peers.slice(-2, -1);
      if (before === undefined) return;
      const left = Date.parse(before.notAfter) - Date.now();
      this.#leastLeft[who] = Math.min(this.#leastLeft[who], left);
      onRenewal({
        who,
        at: performance.now() - this.startedAt,
        oldSerial: before.serial,
        newSerial: line.serial,
        notAfter: Date.parse(line.notAfter),
        left,
        handshakes: this.handshakes,
        failures: this.failures,
      });
    });
  }
}
