/** The log: JSON lines on stdout, which must never be able to stop the operator. */
import { type Logger, pino } from 'pino';

/** Lines that wait for a reader who does not come are dropped past this; the newest first. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const LAST_FLUSH_MS = 1_000;
/** Lines are gathered for so long: a system call for each would be a tenth of what issuing a certificate costs. */
const GATHER_MS = 50;
const GATHER_CHARACTERS = 64 * 1024;

export interface OperatorLog {
  readonly log: Logger;
  /** Writes out what waits and ends the process. A reader who has stopped reading cannot keep it. */
  end(code: number): Promise<never>;
}

/**
 * pino writes synchronously by default: when nobody reads the other end of a full pipe, the process stands still in the middle of a line, renews neither
 * certificates nor its Lease, and does not even hear SIGTERM. Written asynchronously, a line waits for its reader alone.
 */
export function createLog(level: string): OperatorLog {
  let gathered = '';
  const pass = (): void => {
    if (gathered !== '') destination.write(gathered);
    gathered = '';
  };
  // With a minLength of 0 `flush` would call back at once, whatever still waits.
  const destination = pino.destination({ dest: 1, sync: false, minLength: 1, maxLength: MAX_WAITING_BYTES });
  const stream = {
    write(line: string): void {
      if (gathered === '') setTimeout(pass, GATHER_MS);
      gathered += line;
      if (gathered.length >= GATHER_CHARACTERS) pass();
    },
  };
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  return {
    log,
    async end(code) {
      const flushed = await new Promise<boolean>((resolve) => {
        setTimeout(() => resolve(false), LAST_FLUSH_MS);
        pass();
        destination.flush(() => resolve(true));
      });
      // Exiting flushes once more, and joins the thread that is stuck in the write: neither would ever come back.
      if (!flushed) process.kill(process.pid, 'SIGKILL');
      process.exit(code);
    },
  };
}

/** An error that nobody caught ends the process, as it must: in the log, after the lines that led to it, and not only on stderr. */
export function endOnDefect({ log, end }: OperatorLog): void {
  process.once('uncaughtException', (error: unknown) => {
    // Anything can be thrown.
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    log.fatal({ error: message, stack }, 'a defect: nobody caught this error');
    void end(1);
  });
}
