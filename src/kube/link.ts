import type { Dispatcher } from 'undici';
import Pool from 'undici/lib/dispatcher/pool.js';
import type { Clock } from './clock.ts';
import type { Connection, Credentials, TlsMaterial } from './config.ts';
import { TransportError } from './errors.ts';
import { type Log, messageOf } from './log.ts';

/** client-go re-reads token files each minute; the kubelet replaces them at 80 % of their life. */
const REFRESH_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** The API server closes idle connections after 90 s or more; letting go first avoids to write into one that it is just closing. */
const KEEP_ALIVE_MS = 30_000;

/** Open sockets and current credentials: everything a request needs besides itself. */
export interface Link {
  readonly headers: Credentials['headers'];
  readonly requests: Dispatcher;
  /** Watches hold a connection each for minutes; in one pool they would starve requests. */
  readonly watches: Dispatcher;
}

/** Keeps credentials fresh and connections in step with them. */
export class LinkProvider {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #maxConnections: number;
  #link: (Link & { readonly tls: TlsMaterial }) | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<Link> | undefined;
  #closed = false;

  constructor(options: { connection: Connection; clock: Clock; log: Log; maxConnections: number }) {
    this.#connection = options.connection;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#maxConnections = options.maxConnections;
  }

  /** The link, without waiting, while its credentials are young enough. */
  get current(): Link | undefined {
    return this.#clock.monotonic() - this.#refreshedAt < REFRESH_MS ? this.#link : undefined;
  }

  /** Reads credentials anew; all who ask meanwhile share one reading. `fresh`: the server refused the present ones. */
  refresh(fresh: boolean, refused?: Link): Promise<Link> {
    // Several requests are refused at once with the same credentials: the first fetches new ones, the rest take those.
    if (fresh && refused && this.#link && this.#link !== refused && this.current) return Promise.resolve(this.#link);
    this.#refreshing ??= this.#load(fresh).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#refreshedAt = Number.NEGATIVE_INFINITY;
    const link = this.#link;
    this.#link = undefined;
    if (link) await Promise.allSettled([link.requests.destroy(), link.watches.destroy()]);
  }

  async #load(fresh: boolean): Promise<Link> {
    if (this.#closed) throw new TransportError('closed', 'the transport is closed', { ambiguous: false });
    const credentials = await this.#read(fresh);
    if (this.#closed) throw new TransportError('closed', 'the transport is closed', { ambiguous: false });
    const before = this.#link;
    this.#refreshedAt = this.#clock.monotonic();
    if (before && before.tls === credentials.tls) {
      this.#link = { ...before, headers: credentials.headers };
    } else {
      this.#link = { headers: credentials.headers, tls: credentials.tls, ...(await this.#open(credentials.tls)) };
      if (before) this.#retire(before);
    }
    return this.#link;
  }

  async #read(fresh: boolean): Promise<Credentials> {
    try {
      return await this.#connection.credentials({ fresh });
    } catch (error) {
      const last = this.#link;
      // A token file that is being replaced is away for a moment; the old token is good for a while longer.
      if (last && !fresh) {
        this.#log.warn(
          { error: messageOf(error) },
          'cannot read credentials for the API server, keeping the former ones',
        );
        return { headers: last.headers, tls: last.tls };
      }
      throw new TransportError('credentials', `no credentials for the API server: ${messageOf(error)}`, {
        ambiguous: false,
        cause: error,
      });
    }
  }

  /** Lets requests in flight end on the old connections. Watches end by their own timeout. */
  #retire(link: Link): void {
    for (const dispatcher of [link.requests, link.watches]) {
      dispatcher
        .close()
        .catch((error: unknown) => this.#log.debug({ error: messageOf(error) }, 'closing old connections'));
    }
  }

  async #open(tls: TlsMaterial): Promise<Pick<Link, 'requests' | 'watches'>> {
    const requests = await openDispatcher(this.#connection, tls, this.#maxConnections);
    return { requests, watches: await openDispatcher(this.#connection, tls, undefined) };
  }
}

async function openDispatcher(
  connection: Connection,
  material: TlsMaterial,
  connections: number | undefined,
): Promise<Dispatcher> {
  const tls = {
    ...(material.ca === undefined ? {} : { ca: material.ca }),
    ...(material.cert === undefined ? {} : { cert: material.cert }),
    ...(material.key === undefined ? {} : { key: material.key }),
    ...(material.servername === undefined ? {} : { servername: material.servername }),
    ...(material.insecure ? { rejectUnauthorized: false } : {}),
    // HTTP/2 costs more CPU here, and one connection's fault would be everybody's.
    allowH2: false,
  };
  const options: Omit<Pool.Options, 'connect'> = {
    connections: connections ?? null,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    // Deadlines are the transport's own: one timer for a request with all its attempts.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  };
  const { proxyUrl } = connection;
  if (proxyUrl === undefined) {
    const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: 30_000 };
    return new Pool(new URL(connection.server).origin, { ...options, connect });
  }
  const { ProxyAgent, Socks5ProxyAgent } = await import('./proxyDispatchers.ts');
  if (proxyUrl.startsWith('socks')) return new Socks5ProxyAgent(proxyUrl, { ...options, requestTls: tls });
  return new ProxyAgent({ ...options, uri: proxyUrl, requestTls: tls });
}
