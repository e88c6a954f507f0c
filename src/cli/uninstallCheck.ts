/** `mtls-operator uninstall-check`: whether the operator may go. Run by Helm before it uninstalls; it reads pods and writes nothing. */
import { parseArgs } from 'node:util';
import {
  createMetrics,
  createTransport,
  isStatus,
  loadConnection,
  messageOf,
  property,
  type Resource,
  resourcePath,
  silentLog,
  stringAt,
  systemClock,
  type Transport,
  withSignals,
} from '../kube/index.ts';
import { faultOf } from './apiFault.ts';
import { CliError } from './end.ts';
import { type MeshedPods, meshedNamespaceOf, type ReleaseName, refusalOf } from './meshedPods.ts';

const usage = `mtls-operator uninstall-check [flags]   whether any pod still has a sidecar

  --kubeconfig FILE   how to reach the API server (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --release NAME      the Helm release, for the commands in its message (default: mtls-operator)
  --namespace NAME    namespace of the release (default: POD_NAMESPACE, else mtls-system)

It ends with 0 where no pod has one, with 1 where some have, and with 2 where it could not find out.
`;

const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
const PAGE = '200';
const DEADLINE_MS = 30_000;
/** The API server forgets where a list was continued after some minutes; whoever needs longer than that every time would go on for ever. */
const ATTEMPTS = 3;

const ends = { free: 0, needed: 1, unknown: 2 } as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns the exit code. */
export async function uninstallCheckMain(args: readonly string[], env: Environment, version: string): Promise<number> {
  try {
    const options = parseFlags(args, env);
    if (options === 'help') {
      process.stdout.write(usage);
      return ends.free;
    }
    const refusal = refusalOf(await find(options.kubeconfig, version), options);
    process.stdout.write(`${refusal ?? 'No pod has a sidecar: the operator may go.'}\n`);
    return refusal === undefined ? ends.free : ends.needed;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    process.stderr.write(`mtls-operator uninstall-check: whether pods have a sidecar is not known: ${error.message}\n`);
    return ends.unknown;
  }
}

interface Options extends ReleaseName {
  readonly kubeconfig: string | undefined;
}

function parseFlags(args: readonly string[], env: Environment): Options | 'help' {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args: [...args],
      options: {
        kubeconfig: text,
        release: { ...text, default: 'mtls-operator' },
        namespace: { ...text, default: env['POD_NAMESPACE'] ?? 'mtls-system' },
        help: { type: 'boolean', default: false },
      },
    });
    return values.help ? 'help' : { ...values, kubeconfig: values.kubeconfig };
  } catch (error) {
    throw new CliError('usage', messageOf(error));
  }
}

async function find(kubeconfig: string | undefined, version: string): Promise<MeshedPods> {
  const signal = withSignals();
  const connection = await loadConnection(kubeconfig === undefined ? {} : { kubeconfig }).catch((error: unknown) => {
    throw new CliError('usage', messageOf(error));
  });
  const transport = createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics({ process: false }),
    log: silentLog,
    userAgent: `mtls-operator-uninstall-check/${version}`,
    maxConnections: 1,
  });
  try {
    for (let attempt = 1; ; attempt++) {
      const found = await count(transport, signal, attempt < ATTEMPTS);
      if (found !== undefined) return found;
    }
  } catch (error) {
    if (signal.aborted) throw new CliError('interrupted', 'interrupted');
    throw faultOf(error, connection.server, 'pods of all namespaces');
  } finally {
    await transport.close();
  }
}

/** @returns undefined where the list has to be begun anew. */
async function count(transport: Transport, signal: AbortSignal, again: boolean): Promise<MeshedPods | undefined> {
  const found = new Map<string, number>();
  let next: string | undefined;
  do {
    const query = {
      limit: PAGE,
      fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
      ...(next === undefined ? {} : { continue: next }),
    };
    let answer: unknown;
    try {
      answer = await transport.request({
        method: 'GET',
        path: resourcePath(PODS),
        query,
        deadlineMs: DEADLINE_MS,
        signal,
      });
    } catch (error) {
      if (again && isStatus(error, 410)) return undefined;
      throw error;
    }
    const items = property(answer, 'items');
    // An answer of another form must not pass for one without pods.
    if (!Array.isArray(items))
      throw new CliError('unusable', 'the API server answered with something else than a list');
    for (const item of items) {
      const namespace = meshedNamespaceOf(item);
      if (namespace !== undefined) found.set(namespace, (found.get(namespace) ?? 0) + 1);
    }
    next = stringAt(property(answer, 'metadata'), 'continue') || undefined;
  } while (next !== undefined);
  return found;
}
