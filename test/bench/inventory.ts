/** Resident memory of the operator with many pods, a policy for each ten of them, and no certificate: what `--watch-pods` costs. */
import { mtlsPolicyKind } from '../../src/api/index.ts';
import { inventoryRules } from '../../src/api/rbac.ts';
import { grantToOperator } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Bench, createNamespace, inParallel, openBench, residentMegabytes } from './harness.ts';

export interface InventoryResult {
  readonly benchmark: 'inventory';
  readonly pods: number;
  readonly policies: number;
  readonly residentMegabytesWithoutPods: number;
  readonly residentMegabytes: number;
  /** From the start of the operator until the last policy tells of its pods. */
  readonly secondsUntilAllTold: number;
}

const NAMESPACE = 'many';

export async function measureInventory(pods: number): Promise<InventoryResult> {
  const bench = await openBench();
  try {
    await createNamespace(bench, NAMESPACE);
    await grantToOperator(bench.cluster, 'pods', inventoryRules);
    const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`;
    await waitFor('the service account `default`', () => get(bench, account).catch(() => undefined));
    const policies = Math.ceil(pods / 20);
    printProgress(`creating ${pods} pods and ${policies} policies`);
    await inParallel(pods, 16, (index) => post(bench, `/api/v1/namespaces/${NAMESPACE}/pods`, podBody(index)));
    await inParallel(policies, 16, (index) => post(bench, mtlsPolicyKind.path(NAMESPACE), policyBody(index)));
    const without = await bench.operator();
    await settle();
    const residentMegabytesWithoutPods = residentMegabytes(without.pid);
    await without.stop();
    const started = performance.now();
    const operator = await bench.operator({ flags: ['--watch-pods'] });
    await waitFor('every policy to tell of its pods', () => allTold(bench, policies), {
      timeoutMs: 120_000,
      intervalMs: 500,
    });
    const secondsUntilAllTold = Math.round((performance.now() - started) / 100) / 10;
    await settle();
    const resident = residentMegabytes(operator.pid);
    await operator.stop();
    return {
      benchmark: 'inventory',
      pods,
      policies,
      residentMegabytesWithoutPods,
      residentMegabytes: resident,
      secondsUntilAllTold,
    };
  } finally {
    await bench.close();
  }
}

/** As pods are: of ten to a workload, with labels of their own. */
function podBody(index: number): object {
  const app = `app-${Math.floor(index / 10)}`;
  const ports = [8080, 8443, 9090, 9091, 15000].map((containerPort, at) => ({ containerPort, name: `port-${at}` }));
  const env = Array.from({ length: 20 }, (_, at) => ({ name: `SETTING_${at}`, value: `value ${at} of ${app}` }));
  return {
    metadata: {
      name: `${app}-${index}`,
      labels: {
        app,
        'app.kubernetes.io/name': app,
        'app.kubernetes.io/instance': 'shop',
        'pod-template-hash': '7d4b9c8f6',
        'statefulset.kubernetes.io/pod-name': `${app}-${index}`,
      },
    },
    spec: { containers: [{ name: 'main', image: 'registry.invalid/none', ports, env }] },
  };
}

function policyBody(index: number): object {
  return {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'MTLSPolicy',
    metadata: { name: `app-${index}` },
    spec: { selector: { matchLabels: { app: `app-${index}` } }, mode: 'Strict' },
  };
}

async function allTold(bench: Bench, policies: number): Promise<boolean> {
  const list = JSON.stringify(await get(bench, mtlsPolicyKind.path(NAMESPACE)));
  return list.split('"reason":"Effective"').length > policies;
}

async function post({ transport, signal }: Bench, path: string, body: object): Promise<void> {
  await transport.request({ method: 'POST', path, body, signal });
}

async function get({ transport, signal }: Bench, path: string): Promise<unknown> {
  return await transport.request({ method: 'GET', path, signal });
}

/** As an operator is most of the time: a while after its work. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20_000));
}
