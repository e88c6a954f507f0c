/** What etcd has stored, revision by revision: the one place where nothing can be missed, whatever happens to API servers and watches. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { asRecord } from '../../src/kube/index.ts';
import { etcdHealthSocket } from '../cluster/flags.ts';
import type { Cluster } from '../cluster/index.ts';

/**
 * Flags for an API server whose history can be read: objects as JSON (protobuf is the default for the core API), and no compaction, which would
 * take old revisions away.
 */
export const readableHistory = ['--storage-media-type=application/json', '--etcd-compaction-interval=0'];

export interface StoredChange {
  /** As etcd names it, e.g. `/registry/secrets/shop/web`. */
  readonly key: string;
  /** etcd's revision, which is the object's resourceVersion. */
  readonly revision: number;
  /** Undefined: deleted. */
  readonly object: unknown;
}

/**
 * Calls `onChange` for every change of every key from `first` up to, but not including, `end`, in order, from the first revision on, until the signal aborts. Goes
 * on after the last revision seen when etcd was restarted.
 *
 * @throws if etcd has compacted away what had not been seen.
 */
export async function followHistory(
  cluster: Cluster,
  range: { readonly first: string; readonly end: string },
  onChange: (change: StoredChange) => void,
  signal: AbortSignal,
): Promise<void> {
  let next = 1;
  while (!signal.aborted) {
    try {
      for await (const line of watchLines(cluster, range, next, signal)) {
        const { result, error } = asRecord(JSON.parse(line));
        if (error !== undefined) break;
        const answer = asRecord(result);
        if (answer['compact_revision'] !== undefined) {
          throw new HistoryLost(`etcd has compacted revisions from ${next} on: they were not seen`);
        }
        if (answer['canceled'] === true) break;
        const events = answer['events'];
        for (const event of Array.isArray(events) ? events : []) {
          const change = changeOf(event);
          onChange(change);
          next = change.revision + 1;
        }
      }
    } catch (error) {
      if (error instanceof HistoryLost) throw error;
      // etcd is down: it keeps its data, and its history with them.
    }
    if (!signal.aborted) await delay(50, undefined, { signal }).catch(() => {});
  }
}

/** Puts a key into etcd: what `followHistory` calls back for it comes after everything that was stored before. */
export async function putMarker(cluster: Cluster, key: string): Promise<void> {
  const answer = send(cluster, '/v3/kv/put', { key: base64(key), value: base64('{}') });
  for await (const _line of answer);
}

export class HistoryLost extends Error {}

function changeOf(event: unknown): StoredChange {
  const { type, kv } = asRecord(event);
  const { key, value, mod_revision: revision } = asRecord(kv);
  if (typeof key !== 'string' || typeof revision !== 'string') throw new Error('etcd sent an event without a key');
  return {
    key: Buffer.from(key, 'base64').toString('utf8'),
    revision: Number(revision),
    object:
      type === 'DELETE' || typeof value !== 'string'
        ? undefined
        : JSON.parse(Buffer.from(value, 'base64').toString('utf8')),
  };
}

function watchLines(
  cluster: Cluster,
  range: { readonly first: string; readonly end: string },
  from: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const create_request = { key: base64(range.first), range_end: base64(range.end), start_revision: String(from) };
  return send(cluster, '/v3/watch', { create_request }, signal);
}

/** etcd's JSON gateway is on the socket for HTTP, which etcd's health is read from too. */
async function* send(
  cluster: Cluster,
  path: string,
  body: object,
  signal?: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const asked = request({
    socketPath: etcdHealthSocket(cluster.directory),
    method: 'POST',
    path,
    agent: false,
    ...(signal === undefined ? {} : { signal }),
  });
  asked.end(JSON.stringify(body));
  const answer = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve);
    asked.on('error', reject);
  });
  if (answer.statusCode !== 200) throw new Error(`etcd answers ${path} with ${answer.statusCode}`);
  let rest = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    rest += String(chunk);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line !== '') yield line;
    }
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
