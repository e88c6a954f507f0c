/** What those who talk all the while (`talk load`) say of it: as a whole when they are asked, and line by line in a file that outlives them. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';

const eventSchema = z.object({
  kind: z.enum(['failed', 'cut']),
  what: z.string(),
  opened: z.string(),
  at: z.string(),
  error: z.string(),
});

export const reportSchema = z.object({ talks: z.record(z.string(), z.number()), events: z.array(eventSchema) });
export type Report = z.output<typeof reportSchema>;

export const lineSchema = z.union([
  eventSchema,
  z.object({ kind: z.literal('ended'), talks: z.record(z.string(), z.number()) }),
]);

/** A folder of this machine for `load`. Whoever makes it removes it. */
export async function makeReportDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mtls-operator-load-'));
  // The container's user is another one.
  await chmod(directory, 0o777);
  return directory;
}
