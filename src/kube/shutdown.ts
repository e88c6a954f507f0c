import { type Log, silentLog } from './log.ts';

/**
 * A signal that aborts on the first SIGTERM or SIGINT. The second one ends the process at once, with 128 + the signal's number: whoever sends twice
 * does not want to wait.
 */
export function withSignals(log: Log = silentLog): AbortSignal {
  const controller = new AbortController();
  const numbers = { SIGTERM: 15, SIGINT: 2 } as const;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + numbers[name]);
      log.info({ signal: name }, 'shutting down');
      controller.abort(new Error(`received ${name}`));
    });
  }
  return controller.signal;
}
