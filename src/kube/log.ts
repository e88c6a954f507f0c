/**
 * What the runtime writes to. pino satisfies it. Fields are structured data; never pass key material, tokens or whole objects of the API.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that keeps nothing, for tools and tests. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/** The message of anything that was thrown, for a log line. Never the stack, never the object itself: causes can carry request bodies. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
