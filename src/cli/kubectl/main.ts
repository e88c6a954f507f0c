/** `kubectl mtls`: reads what is needed from the API server, and prints what it comes to. */
import * as z from 'zod';
import { mtlsPolicyKind, OPERATOR_LEASE } from '../../api/index.ts';
import { decodeService } from '../../inventory/index.ts';
import {
  type Connection,
  createMetrics,
  createTransport,
  isStatus,
  loadConnection,
  messageOf,
  type Resource,
  resourcePath,
  silentLog,
  systemClock,
  type Transport,
  withSignals,
} from '../../kube/index.ts';
import { decodePolicy } from '../../policy/index.ts';
import { faultOf } from '../apiFault.ts';
import { CliError, exitCodes } from '../end.ts';
import { type Explanation, explain } from './explain.ts';
import { type ExplainOptions, parsePluginFlags, pluginUsage } from './flags.ts';
import { readSubject } from './subject.ts';
import { explanationText } from './text.ts';

const SERVICES: Resource = { group: '', version: 'v1', plural: 'services' };
const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
const DEADLINE_MS = 30_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns the exit code: see `exitCodes`. */
export async function pluginMain(args: readonly string[], env: Environment, version: string): Promise<number> {
  try {
    const options = parsePluginFlags(args);
    if (options === 'help') {
      process.stdout.write(pluginUsage);
      return exitCodes.done;
    }
    const explanation = await ask(options, env, version);
    const { output } = options;
    process.stdout.write(
      output === 'json' ? `${JSON.stringify(explanation, undefined, 2)}\n` : explanationText(explanation),
    );
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    process.stderr.write(`kubectl mtls: ${error.message}\n`);
    return exitCodes[error.fault];
  }
}

async function ask(options: ExplainOptions, env: Environment, version: string): Promise<Explanation> {
  const signal = withSignals();
  const connection = await connect(options, env);
  const transport = createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics({ process: false }),
    log: silentLog,
    userAgent: `kubectl-mtls/${version}`,
    maxConnections: 4,
  });
  try {
    return await gather(new Reader(transport, connection.server, signal), connection, options);
  } catch (error) {
    if (signal.aborted) throw new CliError('interrupted', 'interrupted');
    throw error;
  } finally {
    await transport.close();
  }
}

async function connect({ kubeconfig, context }: ExplainOptions, env: Environment): Promise<Connection> {
  try {
    return await loadConnection({ kubeconfig, context, env });
  } catch (error) {
    throw new CliError('usage', messageOf(error));
  }
}

async function gather(reader: Reader, connection: Connection, options: ExplainOptions): Promise<Explanation> {
  const { operatorNamespace: meshNamespace, subject: reference, port } = options;
  const namespace = options.namespace ?? connection.namespace ?? 'default';
  const { kind, name } = reference;
  const policiesOf = (where: string) =>
    reader.list(mtlsPolicyKind.path(where), `the MTLSPolicies of namespace ${where}`, decodePolicy, noKind);
  const [object, own, meshWide, services, operatorFound] = await Promise.all([
    reader.get(resourcePath(kind.resource, namespace, name), `${kind.names[0]} ${namespace}/${name}`),
    policiesOf(namespace),
    meshNamespace === namespace ? [] : policiesOf(meshNamespace),
    // Of use for a hint only.
    reader.list(resourcePath(SERVICES, namespace), 'the Services', decodeService).catch((error: unknown) => {
      if (error instanceof CliError && error.fault === 'refused') return undefined;
      throw error;
    }),
    // It stays when the operator stops.
    reader.exists(resourcePath(LEASES, meshNamespace, OPERATOR_LEASE), `the Lease of namespace ${meshNamespace}`),
  ]);
  const subject = readSubject(reference, namespace, object);
  const policies = [...own, ...meshWide];
  return explain(subject, { policies, services, meshNamespace, operatorFound, port, now: systemClock.now() });
}

const noKind = 'the API server has no MTLSPolicies; are the CRDs of mtls-operator installed?';

const listOutline = z.object({
  items: z.array(z.unknown()),
  metadata: z.looseObject({ continue: z.string().nullish() }).nullish(),
});

class Reader {
  readonly #transport: Transport;
  readonly #server: string;
  readonly #signal: AbortSignal;

  constructor(transport: Transport, server: string, signal: AbortSignal) {
    this.#transport = transport;
    this.#server = server;
    this.#signal = signal;
  }

  /** @throws CliError @param what completes the sentence "... is not there". */
  async get(path: string, what: string): Promise<unknown> {
    return await this.#request(path, {}).catch((error: unknown) => {
      throw faultOf(error, this.#server, what);
    });
  }

  /** @returns undefined where it may not be read. @throws CliError */
  async exists(path: string, what: string): Promise<boolean | undefined> {
    try {
      await this.#request(path, {});
      return true;
    } catch (error) {
      if (isStatus(error, 404)) return false;
      if (isStatus(error, 403)) return undefined;
      throw faultOf(error, this.#server, what);
    }
  }

  /** @param advice where the API server has no such collection. @throws CliError */
  async list<T>(
    path: string,
    what: string,
    decode: (object: unknown) => { readonly value: T },
    advice?: string,
  ): Promise<T[]> {
    const found: T[] = [];
    try {
      for (let next: string | undefined = ''; next !== undefined; ) {
        const page = listOutline.parse(await this.#request(path, { limit: '500', ...(next && { continue: next }) }));
        found.push(...page.items.map((item) => decode(item).value));
        next = page.metadata?.continue || undefined;
      }
    } catch (error) {
      if (advice !== undefined && isStatus(error, 404)) throw new CliError('refused', `${what}: ${advice}`);
      throw faultOf(error, this.#server, what);
    }
    return found;
  }

  async #request(path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    const signal = this.#signal;
    return await this.#transport.request({ method: 'GET', path, query, deadlineMs: DEADLINE_MS, signal });
  }
}
