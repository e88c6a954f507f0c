const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// One Ctrl-C comes twice under npm: from the terminal, which sends it to its whole process group, and from npm, which passes it on.
const echoMs = 1_000;

/**
 * Keeps the process alive until it is asked to end, and resolves with the signal. Later ones are ignored for a second (they are echoes) and then
 * end the process at once, so that nobody who is in a hurry has to wait.
 */
export function untilInterrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const hold = setInterval(() => {}, 3_600_000); // a promise alone keeps no process alive
    let first: number | undefined;
    const listener = (signal: NodeJS.Signals) => {
      if (first === undefined) {
        first = performance.now();
        clearInterval(hold);
        resolve(signal);
      } else if (performance.now() - first > echoMs) {
        for (const each of signals) process.removeListener(each, listener);
        process.kill(process.pid, signal);
      }
    };
    for (const signal of signals) process.on(signal, listener);
  });
}
