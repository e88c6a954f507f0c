import { readFile } from 'node:fs/promises';

/** Reads a small text file without the white space around it: editors and `kubectl create` leave a line feed, which no header may carry. */
export async function readTrimmed(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}

/** The bearer header for a token. Throws if it is empty or has characters that no header may carry; the message names the origin alone. */
export function tokenHeader(token: string, origin: string): { authorization: string } {
  const text = token.trim();
  if (text === '') throw new Error(`${origin} is empty, expected a bearer token`);
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error(`${origin} holds characters that a bearer token cannot have`);
  return { authorization: `Bearer ${text}` };
}
