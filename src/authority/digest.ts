import { createHash } from 'node:crypto';

/** SHA-256 over the JSON of a value, base64url: for equality only. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url');
}
