/** `kubectl mtls`: reads what is needed from the API server, and prints what it comes to. */
import {
  type Connection,
  createMetrics,
  createTransport,
  loadConnection,
  messageOf,
  silentLog,
  systemClock,
  withSignals,
} from '../../kube/index.ts';
import { CliError, exitCodes } from '../end.ts';
import { checkExitCode } from './check.ts';
import { gatherCheck } from './checkCommand.ts';
import { checkText } from './checkText.ts';
import { type AskProxy, gatherExplanation } from './explainCommand.ts';
import { explanationText } from './explainText.ts';
import { type PluginOptions, parsePluginFlags, pluginUsage } from './flags.ts';
import { gatherProxies } from './proxiesCommand.ts';
import { proxiesText } from './proxiesText.ts';
import { askProxy } from './proxy/ask.ts';
import { Reader } from './reader.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Answer {
  /** For `-o json`. */
  readonly object: object;
  readonly text: string;
  readonly exitCode: number;
}

/** @returns the exit code: see `exitCodes`. */
export async function pluginMain(args: readonly string[], env: Environment, version: string): Promise<number> {
  try {
    const options = parsePluginFlags(args);
    if (options === 'help') {
      process.stdout.write(pluginUsage);
      return exitCodes.done;
    }
    const { exitCode, object, text } = await ask(options, env, version);
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(object, undefined, 2)}\n` : text);
    return exitCode;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    process.stderr.write(`kubectl mtls: ${error.message}\n`);
    return exitCodes[error.fault];
  }
}

async function ask(options: PluginOptions, env: Environment, version: string): Promise<Answer> {
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
    const proxy: AskProxy = (pod) => askProxy(transport, pod, signal);
    return await answer(new Reader(transport, connection.server, signal), proxy, connection, options, version);
  } catch (error) {
    if (signal.aborted) throw new CliError('interrupted', 'interrupted');
    throw error;
  } finally {
    await transport.close();
  }
}

async function answer(
  reader: Reader,
  proxy: AskProxy,
  connection: Connection,
  options: PluginOptions,
  version: string,
): Promise<Answer> {
  const exitCode = exitCodes.done;
  switch (options.command) {
    case 'explain': {
      const object = await gatherExplanation(reader, proxy, connection, options);
      return { object, text: explanationText(object), exitCode };
    }
    case 'proxies': {
      const object = await gatherProxies(reader, connection, options);
      return { object, text: proxiesText(object, options, systemClock.now()), exitCode };
    }
    case 'check': {
      const object = await gatherCheck(reader, options, version);
      return { object, text: checkText(object), exitCode: checkExitCode(object) };
    }
  }
}

async function connect({ kubeconfig, context }: PluginOptions, env: Environment): Promise<Connection> {
  try {
    return await loadConnection({ kubeconfig, context, env });
  } catch (error) {
    throw new CliError('usage', messageOf(error));
  }
}
