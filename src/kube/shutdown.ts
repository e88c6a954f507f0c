import { type Log, silentLog } from './log.ts';

/** One Ctrl-C comes twice under npm: from the terminal, which sends it to its whole process group, and from npm, which passes it on. */
const ECHO_MS = 1_000;

/**
 * A signal that aborts on the first SIGTERM or SIGINT. One that comes more than a second later ends the process at once, by that signal: whoever sends
 * twice does not want to wait, not even for the last lines of the log.
 */
export function withSignals(log: Log = silentLog): AbortSignal {
  const controller = new AbortController();
  let first: number | undefined;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (first !== undefined) {
        if (performance.now() - first <= ECHO_MS) return;
        process.removeAllListeners(name);
        process.kill(process.pid, name);
        return;
      }
      first = performance.now();
      log.info({ signal: name }, 'shutting down');
      controller.abort(new Error(`received ${name}`));
    });
  }
  return controller.signal;
}
