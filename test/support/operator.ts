/** The operator as a process of its own beside a test cluster, with the permissions that users give it and no others. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ReasonedRule } from '../../src/api/rbac.ts';
import type { Cluster } from '../cluster/index.ts';
import { waitFor } from './waitFor.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const OPERATOR_NAMESPACE = 'mtls-system';
/** Who the operator is to the API server: its service account, bound to charts/mtls-operator/files/rbac.yaml. */
export const operatorUser = {
  name: `system:serviceaccount:${OPERATOR_NAMESPACE}:mtls-operator`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${OPERATOR_NAMESPACE}`],
};

/** CRDs, admission policy, roles, the operator's namespace and its permissions. */
export async function installOperator(cluster: Cluster): Promise<void> {
  await cluster.kubectl(['apply', '-f', `${root}/crds/`]);
  await cluster.kubectl(['create', 'namespace', OPERATOR_NAMESPACE]);
  await cluster.kubectl(['apply', '-f', `${root}/charts/mtls-operator/files/rbac.yaml`]);
  await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
}

/** Gives the operator permissions in all namespaces beyond those that it always has, as values of the chart do. */
export function grantToOperator(cluster: Cluster, name: string, reasoned: readonly ReasonedRule[]): Promise<void> {
  return grant(cluster, 'mtls-operator', name, reasoned);
}

/** Gives a service account of the operator's namespace permissions in all namespaces. */
export async function grant(
  cluster: Cluster,
  account: string,
  name: string,
  reasoned: readonly ReasonedRule[],
): Promise<void> {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name };
  const items = [
    { apiVersion, kind: 'ClusterRole', metadata, rules: reasoned.map(({ rule }) => rule) },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', namespace: OPERATOR_NAMESPACE, name: account }],
    },
  ];
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await cluster.kubectl(['create', '-f', '-'], { input });
}

export interface OperatorProcessOptions {
  /** Further flags of the operator. Default: --create-default-authority. */
  readonly flags?: readonly string[];
  /** A kubeconfig other than the operator's own, e.g. one that leads through a proxy. */
  readonly kubeconfig?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What Node runs, its own flags first. Default: src/main.ts as it stands. */
  readonly program?: readonly string[];
  /** How long to wait until it leads, in milliseconds. Default 30,000. */
  readonly readyTimeoutMs?: number;
  /** Do not wait until it is ready and leads. */
  readonly noWait?: boolean;
}

/** A line of the operator's log, parsed. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

export class OperatorProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Everything that it wrote to stdout and stderr, line by line. */
  readonly lines: string[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
  }

  get log(): LogLine[] {
    return this.lines.flatMap((line) => {
      try {
        const parsed: unknown = JSON.parse(line);
        return typeof parsed === 'object' && parsed !== null ? [{ ...parsed }] : [];
      } catch {
        return [];
      }
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get exited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get healthUrl(): string {
    const started = this.log.find(({ msg }) => msg === 'started');
    return `http://127.0.0.1:${String(started?.['healthPort'])}`;
  }

  /** Resolves when it leads and has judged every certificate. */
  async ready(timeoutMs = 30_000): Promise<void> {
    await waitFor(
      'the operator to lead',
      () => {
        if (this.exited) throw new Error(`the operator has ended:\n${this.lines.slice(-20).join('\n')}`);
        return this.log.some(({ msg }) => msg === 'judged every certificate');
      },
      { timeoutMs },
    );
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.healthUrl}/metrics`)).text();
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM, and waits for the orderly end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.exited) return;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts the operator against a cluster on which `installOperator` has run. It ends with the cluster at the latest. */
export async function startOperatorProcess(
  cluster: Cluster,
  options: OperatorProcessOptions = {},
): Promise<OperatorProcess> {
  const kubeconfig = options.kubeconfig ?? (await cluster.kubeconfigFor(operatorUser));
  const flags = options.flags ?? ['--create-default-authority'];
  const command = [
    process.execPath,
    ...(options.program ?? [`${root}/src/main.ts`]),
    '--kubeconfig',
    kubeconfig,
    '--health-port',
    '0',
    '--health-host',
    '127.0.0.1',
    ...flags,
  ] as const;
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const operator = new OperatorProcess(
    cluster.launch(command, { stdio: [...stdio], env: { ...process.env, ...options.env } }),
  );
  if (options.noWait !== true) await operator.ready(options.readyTimeoutMs);
  return operator;
}
