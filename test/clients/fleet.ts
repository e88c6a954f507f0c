/** A control plane, an operator, and the programs of examples/ with Secrets of their own. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { asRecord, stringMap } from '../../src/kube/index.ts';
import { type Command, type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { run } from '../support/command.ts';
import { ExampleProgram, exampleCommand, type Language } from '../support/exampleProgram.ts';
import { type Access, type Mount, mountSecret } from '../support/mount.ts';
import { installOperator, type OperatorProcess, startOperatorProcess } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';

export const NAMESPACE = 'clients';

const root = join(import.meta.dirname, '..', '..');

/** Text, not base64. */
export type SecretFiles = Readonly<Record<string, string>>;

export class Fleet implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly operator: OperatorProcess;
  readonly guarded: GuardedDirectory;
  /** Where certificates are, unless an example names another. */
  readonly namespace: string;
  readonly #mounts = new Map<string, Promise<Mount>>();
  readonly #programs: ExampleProgram[] = [];

  private constructor(cluster: Cluster, operator: OperatorProcess, guarded: GuardedDirectory, namespace: string) {
    this.cluster = cluster;
    this.operator = operator;
    this.guarded = guarded;
    this.namespace = namespace;
  }

  static async start(namespace: string = NAMESPACE): Promise<Fleet> {
    const cluster = await startCluster();
    try {
      await installOperator(cluster);
      await cluster.kubectl(['create', 'namespace', namespace]);
      const operator = await startOperatorProcess(cluster);
      const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-clients-');
      return new Fleet(cluster, operator, guarded, namespace);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    const mounts = await Promise.allSettled(this.#mounts.values());
    await Promise.all(mounts.map((mount) => (mount.status === 'fulfilled' ? mount.value.stop() : undefined)));
    await this.operator.kill();
    await this.guarded.remove();
    await this.cluster.stop();
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
  }

  /**
   * Runs the commands in the comments of an example and applies its objects, with `spec` put over that of each certificate; pods, which would need a
   * kubelet, are only judged by the API server, as part of the file.
   * @returns all objects
   */
  async applyExample(path: string, spec: object = {}): Promise<Readonly<Record<string, unknown>>[]> {
    const text = readFileSync(path, 'utf8');
    const kubectl = `kubectl() { '${this.cluster.binaries.kubectl}' --kubeconfig '${this.cluster.kubeconfig}' "$@"; }`;
    const commands = [...text.matchAll(/^# {5}(kubectl .*)$/gm)].map(([, command]) => command);
    await run('sh', ['-euc', [kubectl, ...commands].join('\n')], { cwd: root });
    const objects = parseAllDocuments(text).map((document) => asRecord(document.toJS()));
    await this.apply(
      ...objects
        .filter(({ kind }) => kind !== 'Pod')
        .map((object) =>
          object['kind'] === 'WorkloadCertificate'
            ? { ...object, spec: { ...asRecord(object['spec']), ...spec } }
            : object,
        ),
    );
    // A pod needs the service account `default`, which the controller manager makes a moment after the namespace.
    await waitFor('the whole file to be accepted as it stands', async () => {
      await this.cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', path]);
      return true;
    });
    return objects;
  }

  /** A WorkloadCertificate whose Secret has its name; the DNS name is `<name>.<namespace>.svc`. */
  certificate(name: string, spec: object = {}): object {
    return {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name, namespace: this.namespace },
      spec: { secretName: name, dnsNames: [`${name}.${this.namespace}.svc`], ...spec },
    };
  }

  /** Directory into which the Secret is mounted, once, for as long as the fleet is there. */
  async mount(secretName: string, access?: Access): Promise<string> {
    const known = this.#mounts.get(secretName);
    if (known !== undefined) return (await known).directory;
    const directory = join(this.guarded.path, secretName);
    const mounted = mountSecret({
      kubeconfig: this.cluster.kubeconfig,
      namespace: this.namespace,
      secretName,
      directory,
      timeoutMs: 60_000,
      ...(access === undefined ? {} : { access }),
    });
    this.#mounts.set(secretName, mounted);
    return (await mounted).directory;
  }

  /** A directory with plain files, for what no operator would put into a Secret. */
  directoryWith(name: string, files: SecretFiles): string {
    const directory = join(this.guarded.path, name);
    mkdirSync(directory, { mode: 0o700 });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text, { mode: 0o600 });
    return directory;
  }

  async server(language: Language, directory: string, more: readonly string[] = []): Promise<ExampleProgram> {
    const command = await exampleCommand(language, 'server');
    const args = ['--certs', directory, '--listen', '127.0.0.1:0', ...more];
    const program = this.launch(`the ${language} server`, [...command, ...args]);
    await program.serving();
    return program;
  }

  async client(language: Language, directory: string, target: ClientTarget): Promise<ExampleProgram> {
    const command = await exampleCommand(language, 'client');
    const { address, serverName, everyMs = 100, times = 0, more = [] } = target;
    const names = ['--connect', address, '--server-name', serverName];
    const args = ['--certs', directory, ...names, '--times', String(times), ...more];
    const every = language === 'go' ? `${everyMs}ms` : String(everyMs);
    return this.launch(`the ${language} client`, [...command, ...args, '--every', every]);
  }

  /** Starts any program that speaks the protocol of the examples. */
  launch(name: string, command: Command): ExampleProgram {
    const program = ExampleProgram.launch(name, this.guarded, command);
    this.#programs.push(program);
    return program;
  }

  async secret(namespace: string, name: string): Promise<SecretFiles> {
    const text = await this.cluster.kubectl(['get', 'secret', '-n', namespace, name, '-o', 'json']);
    const parsed: unknown = JSON.parse(text);
    const data = stringMap(asRecord(parsed)['data']);
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
    );
  }
}

export interface ClientTarget {
  readonly address: string;
  readonly serverName: string;
  readonly everyMs?: number;
  /** 0: until it is stopped. */
  readonly times?: number;
  /** Flags that only this language has. */
  readonly more?: readonly string[];
}
