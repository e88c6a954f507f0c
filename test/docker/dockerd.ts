import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { ControlPlaneProcess } from '../cluster/process.ts';
import { makeCgroups } from '../node/cgroups.ts';
import { machinePath } from '../node/machine.ts';
import { makeNamespaces, type Namespaces } from '../node/namespaces.ts';
import { type CommandResult, run } from '../support/command.ts';
import { noProgress, type Progress } from '../support/progress.ts';
import { docker, dockerd, prepareForDocker } from './machine.ts';

export interface DockerdOptions {
  readonly progress?: Progress;
  /** More flags for dockerd, for example `--tlsverify` and where to listen in its own network. */
  readonly flags?: readonly string[];
}

/**
 * Starts a Docker daemon with namespaces of its own for network, mounts and processes, and resolves when it serves. The way out, for builds, leads through a process
 * (slirp4netns): nothing of the machine's network is changed. All of it is gone without trace after `remove`, or when this process ends, in whatever way.
 */
export async function startDockerd(options: DockerdOptions = {}): Promise<Dockerd> {
  await prepareForDocker(options.progress ?? noProgress);
  const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-docker-');
  try {
    const cgroup = basename(guarded.path);
    makeCgroups(guarded, cgroup);
    const namespaces = await makeNamespaces(guarded, join(guarded.path, 'machine'));
    await connectToTheWorld(guarded, namespaces);
    const daemon = new Dockerd(guarded, namespaces, cgroup);
    await daemon.start(options.flags);
    return daemon;
  } catch (error) {
    await guarded.remove();
    throw error;
  }
}

/** Resolves when the network of the namespaces reaches what this machine reaches, its own loopback apart. */
async function connectToTheWorld(guarded: GuardedDirectory, namespaces: Namespaces): Promise<void> {
  const logFile = join(guarded.path, 'slirp4netns.log');
  const log = openSync(logFile, 'a', 0o600);
  const slirp = guarded.launch(
    [
      'slirp4netns',
      '--configure',
      '--mtu=65520',
      '--disable-host-loopback',
      '--ready-fd=3',
      `${namespaces.pid}`,
      'tap0',
    ],
    { stdio: ['ignore', log, log, 'pipe'], env: { PATH: machinePath } },
  );
  closeSync(log);
  const ready = slirp.stdio[3];
  if (ready === null || ready === undefined) throw new Error('slirp4netns could not be started');
  const ended = once(slirp, 'exit').then(() => {
    throw new Error(`slirp4netns has ended:\n${readFileSync(logFile, 'utf8')}`);
  });
  ended.catch(() => {}); // once it is ready, its end is the daemon's
  await Promise.race([once(ready, 'data'), ended]);
  ready.destroy();
  slirp.unref();
}

/** A Docker daemon, which a test may stop and start again with the same images and containers. */
export class Dockerd implements AsyncDisposable {
  /** For `DOCKER_HOST`: a socket that this machine reaches, too. */
  readonly host: string;
  /** What lies in here can be mounted into containers. */
  readonly directory: string;
  readonly #guarded: GuardedDirectory;
  readonly #namespaces: Namespaces;
  readonly #cgroup: string;
  #process: ControlPlaneProcess | undefined;

  constructor(guarded: GuardedDirectory, namespaces: Namespaces, cgroup: string) {
    this.#guarded = guarded;
    this.#namespaces = namespaces;
    this.#cgroup = cgroup;
    this.directory = join(guarded.path, 'shared');
    mkdirSync(this.directory, { mode: 0o755 });
    this.host = `unix://${guarded.path}/docker.sock`;
  }

  /** Its log so far. */
  get log(): string {
    return readFileSync(this.#file('dockerd.log'), 'utf8');
  }

  async start(flags: readonly string[] = []): Promise<void> {
    const [command, ...args] = this.enter([
      dockerd,
      `--data-root=${this.#file('data')}`,
      `--exec-root=${this.#file('exec')}`,
      `--pidfile=${this.#file('pid')}`,
      `--cgroup-parent=/${this.#cgroup}`,
      `--host=${this.host}`,
      ...flags,
    ]);
    this.#process = new ControlPlaneProcess({
      name: 'dockerd',
      command,
      args,
      directory: this.#guarded,
      logFile: this.#file('dockerd.log'),
      isChild: true,
      ready: async () => {
        await this.docker(['version']);
        return true;
      },
    });
    await this.#process.start();
  }

  /** Asks it to end, as an init system would. Containers go on if it runs with `--live-restore`. */
  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  /** Runs Debian's docker client against it. @throws CommandError */
  async docker(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<CommandResult> {
    return await run(docker, args, {
      ...(signal === undefined ? {} : { signal }),
      cwd: this.directory,
      env: { PATH: machinePath, HOME: this.#file('home'), DOCKER_HOST: this.host, ...env },
    });
  }

  /** The words that run a command in the daemon's network, where its containers and its TCP port can be reached. */
  enter(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
    return this.#namespaces.enter(command);
  }

  /** Ends it with all its containers, and removes everything. */
  async remove(): Promise<void> {
    await this.#guarded.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  #file(name: string): string {
    return join(this.#guarded.path, name);
  }
}
