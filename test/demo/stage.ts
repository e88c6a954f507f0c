/** Everything that the demonstration needs, raised step by step. */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildOperator } from '../../build.ts';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { type Cluster, readVersions, startCluster } from '../cluster/index.ts';
import { makeCorporateCa } from '../support/corporateCa.ts';
import {
  installOperator,
  OPERATOR_NAMESPACE,
  type OperatorProcess,
  operatorUser,
  startOperatorProcess,
} from '../support/operator.ts';
import type { Progress } from '../support/progress.ts';

const root = join(import.meta.dirname, '..', '..');

/** Runs a step and tells of it: `what` is being done, and the returned text is what came of it. */
export type Step = <T>(what: string, work: () => Promise<readonly [result: T, told: string]>) => Promise<T>;

export class Stage {
  readonly guarded: GuardedDirectory;
  readonly cluster: Cluster;
  readonly operator: OperatorProcess;

  private constructor(guarded: GuardedDirectory, cluster: Cluster, operator: OperatorProcess) {
    this.guarded = guarded;
    this.cluster = cluster;
    this.operator = operator;
  }

  /** @param undo receives what has to be done to remove what exists so far, to be run last first */
  static async raise(step: Step, progress: Progress, undo: (() => Promise<void>)[]): Promise<Stage> {
    const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-demo-');
    undo.push(() => guarded.remove());

    const cluster = await step('Kubernetes control plane', async () => {
      const started = await startCluster({ log: progress });
      undo.push(() => started.stop());
      return [started, `${readVersions().kubernetes} at ${started.url}`];
    });
    await step('kinds and permissions', async () => {
      await installOperator(cluster);
      return [undefined, 'crds/ and charts/mtls-operator/files/rbac.yaml applied'];
    });
    const operator = await step('operator', async () => {
      const running = await startBundle(guarded, cluster);
      undo.push(() => running.stop());
      await running.ready();
      return [running, `process ${running.pid}, as ${operatorUser.name}`];
    });
    await step('examples', async () => {
      await bringCorporateCa(guarded, cluster);
      const applied = await cluster.kubectl(['apply', '-f', join(root, 'examples')]);
      const count = applied.split('\n').filter((line) => line.startsWith('workloadcertificate')).length;
      await cluster
        .kubectl(['wait', '--for=condition=Ready', 'wcert', '-A', '--all', '--timeout=60s'])
        .catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          throw new Error(`${why}\nThe operator’s log ends with:\n${operator.lines.slice(-20).join('\n')}`);
        });
      return [undefined, `kubectl apply -f examples/: ${count} WorkloadCertificates are Ready`];
    });
    return new Stage(guarded, cluster, operator);
  }
}

/** The operator as it is shipped, with the permissions of its service account. */
async function startBundle(guarded: GuardedDirectory, cluster: Cluster): Promise<OperatorProcess> {
  // A bundle of its own: whoever builds meanwhile changes nothing here.
  const program = await buildOperator(join(guarded.path, 'operator'));
  return await startOperatorProcess(cluster, { program: [program], noWait: true });
}

/** examples/provided-ca.yaml names a Secret that users bring along. */
async function bringCorporateCa(guarded: GuardedDirectory, cluster: Cluster): Promise<void> {
  const { files } = await makeCorporateCa('Example Corporation');
  const sources: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const path = join(guarded.path, `corporate-${name}`);
    await writeFile(path, text, { mode: 0o600 });
    sources.push(`--from-file=${name}=${path}`);
  }
  await cluster.kubectl(['create', 'secret', 'generic', 'corporate-ca', '-n', OPERATOR_NAMESPACE, ...sources]);
}
