import process from 'node:process';

/** Prints one line for whoever waits. Takes whole lines, without the line break. */
export type Progress = (line: string) => void;

/** Progress goes to stderr, so that a command's own output can be piped; whole lines, so that it reads well without a terminal too. */
export const printProgress: Progress = (line) => {
  process.stderr.write(`${line}\n`);
};

/** For callers that want no progress. */
export const noProgress: Progress = () => {};

/**
 * Runs `work` and says every `everyMs` (10 s) that it still goes on, with the seconds elapsed and, if given, what `detail` returns.
 * The last line carries the duration, but only if the work took long enough for anybody to notice (a second).
 */
export async function withProgress<T>(
  progress: Progress,
  label: string,
  work: () => Promise<T>,
  options: { readonly everyMs?: number; readonly detail?: () => string } = {},
): Promise<T> {
  const started = performance.now();
  const elapsed = () => Math.round((performance.now() - started) / 1000);
  const timer = setInterval(() => {
    const detail = options.detail?.() ?? '';
    progress(`${label}... ${elapsed()} s${detail === '' ? '' : `, ${detail}`}`);
  }, options.everyMs ?? 10_000);
  try {
    const result = await work();
    if (elapsed() >= 1) progress(`${label}: done in ${elapsed()} s`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
