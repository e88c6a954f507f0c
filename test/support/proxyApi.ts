/** proxy-api as a process of its own beside a test cluster, with its own service account and what that may do. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { proxyApiRules } from '../../src/api/rbac.ts';
import type { Cluster } from '../cluster/index.ts';
import type { Identity } from '../proxy/identities.ts';
import { writeAtomically } from './mount.ts';
import { grant, OPERATOR_NAMESPACE } from './operator.ts';
import { waitFor } from './waitFor.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const PROXY_API = 'mtls-operator-proxy-api';

const startedSchema = z.object({
  msg: z.literal('started'),
  port: z.number(),
  webhookPort: z.number(),
  healthPort: z.number(),
});
export type ProxyApiPorts = z.output<typeof startedSchema>;

export interface ProxyApiProcess extends AsyncDisposable {
  readonly pid: number;
  readonly ports: ProxyApiPorts;
  readonly lines: readonly string[];
  kill(): Promise<void>;
  /** SIGTERM, and waits for the orderly end. @returns its exit code. */
  stop(): Promise<number | null>;
}

/** Its account and permissions, once for a cluster. */
export async function grantToProxyApi(cluster: Cluster): Promise<void> {
  await grant(cluster, PROXY_API, PROXY_API, proxyApiRules);
}

/** As kubelet mounts the Secret. */
export function mountIdentity(directory: string, { chainPem, keyPem, rootsPem }: Identity): void {
  const files = { 'tls.crt': chainPem, 'tls.key': keyPem, 'ca.crt': rootsPem };
  writeAtomically(directory, new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])));
}

/** @param program what Node runs, its own flags first. */
export async function startProxyApi(
  cluster: Cluster,
  identityDirectory: string,
  flags: readonly string[] = [],
  { env = {}, program = [`${root}/src/main.ts`] }: { env?: NodeJS.ProcessEnv; program?: readonly string[] } = {},
): Promise<ProxyApiProcess> {
  const kubeconfig = await cluster.kubeconfigFor({
    name: `system:serviceaccount:${OPERATOR_NAMESPACE}:${PROXY_API}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${OPERATOR_NAMESPACE}`],
  });
  const own = {
    kubeconfig,
    identity: identityDirectory,
    'mesh-ranges': '10.0.0.0/8',
    port: '0',
    'webhook-port': '0',
    'health-port': '0',
  };
  const images = { 'proxy-image': 'envoy:test', 'init-image': 'init:test' };
  const words = Object.entries({ ...own, ...images }).map(([name, value]) => `--${name}=${value}`);
  const child = cluster.launch([process.execPath, ...program, 'proxy-api', ...words, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const exited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (exited()) return child.exitCode;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
    return child.exitCode;
  };
  const ports = await waitFor('proxy-api to serve', () => {
    if (exited()) throw new Error(`it has ended:\n${lines.slice(-20).join('\n')}`);
    return lines.map((line) => startedSchema.safeParse(parseLine(line)).data).find((found) => found !== undefined);
  });
  return {
    pid: child.pid ?? 0,
    ports,
    lines,
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    [Symbol.asyncDispose]: async () => {
      await end('SIGTERM');
    },
  };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
