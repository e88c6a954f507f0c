/** `mtls-operator proxy-api`: reads its flags, starts, and turns its end into an exit code. */
import { logLevelOf, wrongFlags } from './flags.ts';
import { loadConnection, messageOf, systemClock, withSignals } from './kube/index.ts';
import { createLog, endOnDefect } from './log.ts';
import { parseProxyApiFlags, proxyApiUsage } from './proxyApi/flags.ts';
import { startProxyApi } from './proxyApi/start.ts';

const COMMAND = 'mtls-operator proxy-api';

export async function proxyApiMain(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  version: string,
): Promise<never> {
  const flags = parsed(args, env);
  if (flags === 'help') {
    process.stdout.write(proxyApiUsage);
    process.exit(0);
  }
  const output = createLog(logLevelOf(COMMAND, flags.logLevel));
  const { log, end } = output;
  endOnDefect(output);
  const signal = withSignals(log);
  try {
    const { kubeconfig, namespace } = flags;
    const connection = await loadConnection(kubeconfig === undefined ? {} : { kubeconfig });
    const running = await startProxyApi(
      {
        ...flags,
        connection,
        namespace,
        clock: systemClock,
        random: Math.random,
        log,
        version,
        injection: flags,
      },
      signal,
    );
    const { healthPort, port, webhookPort } = running;
    log.info({ version, server: connection.server, port, webhookPort, healthPort }, 'started');
    await running.ended;
    log.info('ended');
    return await end(0);
  } catch (error) {
    log.fatal({ error: messageOf(error) }, 'cannot go on');
    return await end(1);
  }
}

function parsed(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  try {
    return parseProxyApiFlags(args, env);
  } catch (error) {
    return wrongFlags(COMMAND, messageOf(error));
  }
}
