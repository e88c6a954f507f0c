import { hash } from 'node:crypto';

/**
 * 16 octets of SHA-256, base64url, over a text or the JSON of anything else. For equality within this process only: short because 50,000 of them are
 * kept, and never stored, so that it may change.
 */
export function digestOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return hash('sha256', text, 'buffer').toString('base64url', 0, 16);
}
