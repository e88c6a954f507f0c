import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';

export interface Readiness {
  readonly ok: boolean;
  /** Each check by name: true, or false or what is wrong. */
  readonly checks: Readonly<Record<string, boolean | string>>;
}

export interface HealthOptions {
  /** 0 takes a free port. */
  port: number;
  /** Left out: every address, IPv6 too where the machine has it. */
  host?: string;
  registry: Registry;
  ready: () => Readiness;
  live: () => boolean;
  /**
   * Further lines in the exposition format, made at each scrape: for series per object, which as instruments would cost a kilobyte each for
   * ever. Each item is one or more whole lines with their line feed.
   */
  moreMetrics?: (() => Iterable<string>) | undefined;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves /healthz and /livez, /readyz (?verbose lists the checks) and /metrics over plain HTTP. Rejects if the port cannot be had. */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else reply(response, 500, 'internal error\n');
    });
  });
  // Whoever opens connections and sends nothing must not hold them.
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: HealthOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, 'only GET\n');
  const [path, query = ''] = (request.url ?? '/').split('?', 2);
  switch (path) {
    case '/healthz':
    case '/livez':
      return options.live() ? reply(response, 200, 'ok\n') : reply(response, 503, 'not alive\n');
    case '/readyz':
      return readiness(response, options.ready(), new URLSearchParams(query).has('verbose'));
    case '/metrics':
      return metrics(options, response);
    default:
      return reply(response, 404, 'there are /healthz, /livez, /readyz and /metrics\n');
  }
}

function readiness(response: ServerResponse, state: Readiness, verbose: boolean): void {
  // What is wrong is always said: a probe's failure shows up in the pod's events.
  const lines = Object.entries(state.checks)
    .filter(([, result]) => verbose || result !== true)
    .map(
      ([name, result]) =>
        `[${result === true ? '+' : '-'}] ${name}${typeof result === 'string' ? `: ${result}` : ''}\n`,
    );
  reply(response, state.ok ? 200 : 503, `${lines.join('')}${state.ok ? 'ok' : 'not ready'}\n`);
}

async function metrics(options: HealthOptions, response: ServerResponse): Promise<void> {
  const standard = await options.registry.metrics();
  response.writeHead(200, { 'content-type': options.registry.contentType });
  response.write(standard);
  let batch = '';
  for (const line of options.moreMetrics?.() ?? []) {
    batch += line;
    if (batch.length > 64 * 1024) {
      // A slow reader of fifty thousand series must not make us hold them all.
      if (!response.write(batch)) await drained(response);
      batch = '';
      if (response.destroyed) return;
    }
  }
  response.end(batch);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
  response.end(body);
}
