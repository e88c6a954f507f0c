/** Talks to the API server of a test cluster in plain JSON, so that a test reads its answer field by field. */
import { request } from 'node:https';
import type { Cluster } from '../cluster/index.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Cause {
  readonly field: string;
  readonly message: string;
}

/** Sends as the admin. */
export function send(
  cluster: Pick<Cluster, 'url' | 'caPem' | 'token'>,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = {
    authorization: `Bearer ${cluster.token}`,
    'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
  };
  const outgoing = request(`${cluster.url}${path}`, { method, headers, ca: cluster.caPem }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      try {
        resolve({ status: response.statusCode ?? 0, body: record(JSON.parse(Buffer.concat(chunks).toString())) });
      } catch (error) {
        reject(error);
      }
    });
  });
  outgoing.on('error', reject);
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

export function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`not an object: ${JSON.stringify(value)}`);
  return Object.fromEntries(Object.entries(value));
}

/** What the API server holds against an object, field by field. Empty if it took the object. */
export function causes({ body }: Answer): readonly Cause[] {
  const { details, message, status } = body;
  if (status !== 'Failure') return [];
  const listed = details === undefined ? undefined : record(details)['causes'];
  if (!Array.isArray(listed)) return [{ field: '', message: String(message) }];
  return listed.map((cause) => ({ field: String(record(cause)['field']), message: String(record(cause)['message']) }));
}
