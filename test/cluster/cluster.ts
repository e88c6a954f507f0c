import { type ChildProcess, execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noProgress, type Progress } from '../support/progress.ts';
import { type Binaries, findOrBuildBinaries } from './binaries.ts';
import { type ClusterAuthority, type Credential, makeClusterAuthority, makeKey } from './credentials.ts';
import {
  type AuditMode,
  apiServerArgs,
  type ClusterNetwork,
  clientAuthorityFile,
  controllerManagerArgs,
  etcdArgs,
  etcdHealthSocket,
  loopback,
  writeConfiguration,
} from './flags.ts';
import { type Command, type GuardedDirectory, type LaunchOptions, makeGuardedDirectory } from './guardian.ts';
import { get } from './http.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { findFreePort, isPortTaken } from './port.ts';
import { ControlPlaneProcess, type ProcessSpec, StartError } from './process.ts';

export interface ClusterOptions {
  /** Run kube-controller-manager: garbage collection, namespace deletion, service accounts, aggregated roles (default true). */
  readonly controllerManager?: boolean;
  /** Where progress goes, of building the binaries above all (default nowhere). */
  readonly log?: Progress;
  /**
   * `blocking` (default): an answer leaves the API server only after its line is in the audit log, so no line is missing when a test reads it
   * or kills the server. `batch` writes behind, `off` writes nothing: for whoever measures what the log costs.
   */
  readonly audit?: AuditMode;
  /** Path of another kube-apiserver, of an older Kubernetes (default: that of the version that is pinned). */
  readonly apiServer?: string;
  /** More flags for kube-apiserver; a flag given here replaces ours. */
  readonly apiServerFlags?: readonly string[];
  /** More flags for kube-controller-manager; a flag given here replaces ours. */
  readonly controllerManagerFlags?: readonly string[];
  /** Prepares the network of nodes that are to come: the API server serves there instead of on loopback. It goes with the directory. */
  readonly prepareNetwork?: (directory: GuardedDirectory) => Promise<ClusterNetwork>;
  /** Chooses the API server's port; asked again if somebody else took it meanwhile (default: a free one). */
  readonly choosePort?: () => Promise<number>;
  /** Where the cluster's directory is made (default the system's temporary directory). */
  readonly parentDirectory?: string;
}

export interface User {
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface KubectlOptions {
  /** Standard input. */
  readonly input?: string;
  /** Acts as this user, with a client certificate of its own: not by impersonation, which an admin's rights would colour. */
  readonly as?: User;
  /** Another kubeconfig than the admin's. */
  readonly kubeconfig?: string;
  /** A directory with plugins. */
  readonly plugins?: string;
}

/** kubectl ended with another code than 0; the message is what it wrote to stderr. */
export class KubectlError extends Error {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  constructor(args: readonly string[], code: number, stderr: string, stdout: string) {
    super(`kubectl ${args.join(' ')}: ${stderr.trim()}`);
    this.name = 'KubectlError';
    this.stdout = stdout;
    this.stderr = stderr;
    this.code = code;
  }
}

/** Starts etcd, kube-apiserver and kube-controller-manager on this machine, and resolves when all of them serve. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const found = await findBinariesOnce(options.log ?? noProgress);
  const binaries = options.apiServer === undefined ? found : { ...found, kubeApiserver: options.apiServer };
  const directory = await makeGuardedDirectory(
    options.parentDirectory ?? socketFriendly(tmpdir()),
    'mtls-operator-cluster-',
  );
  const cluster = new Cluster(directory, binaries, options);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

let binariesFound: Promise<Binaries> | undefined;

// A test file may start many clusters; what the binaries are does not change meanwhile.
async function findBinariesOnce(progress: Progress): Promise<Binaries> {
  binariesFound ??= findOrBuildBinaries(progress);
  try {
    return await binariesFound;
  } catch (error) {
    binariesFound = undefined;
    throw error;
  }
}

// The path of a Unix socket has at most 104 bytes on some systems, and temporary directories can be deep.
function socketFriendly(directory: string): string {
  return directory.length <= 50 ? directory : '/tmp';
}

/** A control plane of its own, for one test file, benchmark or demonstration. Gone without trace after `stop`, or when this process ends. */
export class Cluster implements AsyncDisposable {
  /** Path of the admin's kubeconfig. */
  readonly kubeconfig: string;
  /** The certificate authority of the API server, PEM. */
  readonly caPem: string;
  /** Bearer token of the admin (group system:masters). */
  readonly token: string;
  /** Everything of this cluster lies below it; mode 0700. */
  readonly directory: string;
  /** One JSON object a line, level Metadata. */
  readonly auditLog: string;
  readonly binaries: Binaries;
  readonly etcd: ControlPlaneProcess;

  readonly #options: ClusterOptions;
  readonly #guarded: GuardedDirectory;
  readonly #authority: ClusterAuthority;
  readonly #users = new Map<string, string>();
  #network = loopback;
  #port = 0;
  #apiServer: ControlPlaneProcess | undefined;
  #controllerManager: ControlPlaneProcess | undefined;
  #stopping: Promise<void> | undefined;

  constructor(guarded: GuardedDirectory, binaries: Binaries, options: ClusterOptions) {
    const directory = guarded.path;
    this.#guarded = guarded;
    this.directory = directory;
    this.binaries = binaries;
    this.#options = options;
    this.#authority = makeClusterAuthority('test cluster');
    this.caPem = this.#authority.certificate;
    this.token = randomBytes(32).toString('base64url');
    this.kubeconfig = join(directory, 'admin.kubeconfig');
    this.auditLog = join(directory, 'audit.log');
    for (const folder of ['log', 'users', 'kubectl']) mkdirSync(join(directory, folder), { mode: 0o700 });
    this.etcd = this.process('etcd', [binaries.etcd, ...etcdArgs(directory)], (signal) => this.#etcdServes(signal));
  }

  /** `https://<127.0.0.1 unless there is a network of nodes>:<port>` */
  get url(): string {
    return `https://${this.#network.address}:${this.#port}`;
  }

  /** File with the certificate authority of everything in this cluster. */
  get caFile(): string {
    return clientAuthorityFile(this.directory);
  }

  get apiServer(): ControlPlaneProcess {
    if (this.#apiServer === undefined) throw new Error('the cluster has not been started');
    return this.#apiServer;
  }

  /**
   * Its garbage collector looks for new kinds every 30 s: restart it after installing CRDs, if a test cannot wait for owners of these kinds.
   * @throws if the cluster was started without one.
   */
  get controllerManager(): ControlPlaneProcess {
    if (this.#controllerManager === undefined) throw new Error('the cluster has no controller manager');
    return this.#controllerManager;
  }

  /** Called by startCluster, once. */
  async start(): Promise<void> {
    if (this.#options.prepareNetwork !== undefined) this.#network = await this.#options.prepareNetwork(this.#guarded);
    writeConfiguration(this.directory, {
      authority: this.#authority,
      token: this.token,
      network: this.#network,
      serviceAccountKey: makeKey(),
    });
    this.etcd.launch();
    await this.#startApiServer();
    writeFileSync(this.kubeconfig, this.#kubeconfigWith({ token: this.token }), { mode: 0o600 });
    if (this.#options.controllerManager !== false) {
      const credential = this.#authority.client('system:kube-controller-manager', []);
      const kubeconfig = join(this.directory, 'controller-manager.kubeconfig');
      writeFileSync(kubeconfig, this.#kubeconfigWith(credential), { mode: 0o600 });
      const args = controllerManagerArgs(
        this.directory,
        kubeconfig,
        this.#network,
        this.#options.controllerManagerFlags ?? [],
      );
      this.#controllerManager = this.process(
        'kube-controller-manager',
        [this.binaries.kubeControllerManager, ...args],
        (signal) =>
          // The proof that controllers run is what they do: one makes the service account `default/default`.
          this.#answers('/api/v1/namespaces/default/serviceaccounts/default', signal),
      );
      await this.#controllerManager.start();
    }
  }

  // A port that was free a moment ago may be taken by the time the server binds it: then with another one.
  async #startApiServer(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = await (this.#options.choosePort ?? findFreePort)();
      const args = apiServerArgs(
        this.directory,
        this.#network,
        this.#port,
        this.#options.audit ?? 'blocking',
        this.#options.apiServerFlags ?? [],
      );
      this.#apiServer = this.process('kube-apiserver', [this.binaries.kubeApiserver, ...args], (signal) =>
        this.#answers('/readyz', signal),
      );
      try {
        await this.#apiServer.start();
        return;
      } catch (error) {
        await this.#apiServer.kill();
        const mayRetry = attempt < 5 && error instanceof StartError && isPortTaken(error.log);
        if (!mayRetry) throw error;
      }
    }
  }

  /** A server of this cluster, not yet started. It ends with the cluster at the latest. */
  process(
    name: string,
    command: Command,
    ready: ProcessSpec['ready'],
    more: Pick<ProcessSpec, 'isChild'> = {},
  ): ControlPlaneProcess {
    const logFile = join(this.directory, 'log', `${name}.log`);
    const [program, ...args] = command;
    return new ControlPlaneProcess({ name, command: program, args, directory: this.#guarded, logFile, ready, ...more });
  }

  /** A serving certificate and its key, from the authority that everybody in this cluster trusts. */
  serving(dnsNames: readonly string[], addresses: readonly string[]): Credential {
    return this.#authority.serving(dnsNames, addresses);
  }

  #kubeconfigWith(credential: Credential | { readonly token: string }): string {
    return kubeconfigText({ url: this.url, caPem: this.caPem, credential });
  }

  async #answers(path: string, signal: AbortSignal): Promise<boolean> {
    return (await get(`${this.url}${path}`, { ca: this.caPem, token: this.token, signal })).status === 200;
  }

  async #etcdServes(signal: AbortSignal): Promise<boolean> {
    return (await get('http://etcd/readyz', { socketPath: etcdHealthSocket(this.directory), signal })).status === 200;
  }

  /** Runs kubectl as the admin, or as somebody else, and resolves with its stdout. Never reads or writes the user's ~/.kube. */
  async kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    const kubeconfig =
      options.kubeconfig ?? (options.as === undefined ? this.kubeconfig : await this.kubeconfigFor(options.as));
    const home = join(this.directory, 'kubectl');
    const env = {
      PATH: [options.plugins, process.env['PATH']].filter((part) => part !== undefined).join(':'),
      HOME: home,
      KUBECONFIG: kubeconfig,
      KUBECACHEDIR: join(home, 'cache'),
      KUBERC: 'off',
    };
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.binaries.kubectl,
        args,
        { env, cwd: process.cwd(), maxBuffer: 256 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else
            reject(
              new KubectlError(
                args,
                typeof error.code === 'number' ? error.code : -1,
                stderr === '' ? error.message : stderr,
                stdout,
              ),
            );
        },
      );
      child.stdin?.on('error', () => {}); // it ended without reading: its exit code tells
      child.stdin?.end(options.input ?? '');
    });
  }

  /** Path of a kubeconfig for any user, who has no rights but those that RBAC gives to the name and the groups. */
  async kubeconfigFor(user: User): Promise<string> {
    const groups = user.groups ?? [];
    const id = createHash('sha256')
      .update(JSON.stringify([user.name, groups]))
      .digest('hex')
      .slice(0, 16);
    const known = this.#users.get(id);
    if (known !== undefined) return known;
    const path = join(this.directory, 'users', `${id}.kubeconfig`);
    writeFileSync(path, this.#kubeconfigWith(this.#authority.client(user.name, groups)), { mode: 0o600 });
    this.#users.set(id, path);
    return path;
  }

  /** Path of a kubeconfig with a token of the service account (which must exist), valid for a day. */
  async kubeconfigForServiceAccount(account: { readonly namespace: string; readonly name: string }): Promise<string> {
    const token = await this.kubectl(['create', 'token', account.name, '-n', account.namespace, '--duration=24h']);
    const path = join(
      this.directory,
      'users',
      `${account.namespace}.${account.name}.${randomBytes(4).toString('hex')}.kubeconfig`,
    );
    writeFileSync(path, this.#kubeconfigWith({ token: token.trim() }), { mode: 0o600 });
    return path;
  }

  /** Starts a process beside the control plane that ends with it at the latest, in whatever way this process ends. */
  launch(command: Command, options: LaunchOptions): ChildProcess {
    return this.#guarded.launch(command, options);
  }

  startApiServer(): Promise<void> {
    return this.apiServer.start();
  }

  stopApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.apiServer.stop(signal);
  }

  restartApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.apiServer.restart(signal);
  }

  restartEtcd(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.etcd.restart(signal);
  }

  /** Ends every process and removes the directory. May be called more than once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  // Killed, not asked: the data is thrown away, and a graceful end would wait for open watches.
  async #stop(): Promise<void> {
    await Promise.all([this.#controllerManager?.kill(), this.#apiServer?.kill(), this.etcd.kill()]);
    await this.#guarded.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
