import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { type ActiveRule, classify, type Fault, type Rule, RuleBook, seededRandom } from './rules.ts';

export type { ActiveRule, Fault, FaultKind, Rule, SeenRequest } from './rules.ts';

export interface FaultProxyOptions {
  /** The API server, e.g. `cluster.url`. */
  readonly target: string;
  /** Authority of its certificate, PEM. */
  readonly ca?: string;
  /** Serves HTTPS with this certificate; left out: plain HTTP, on loopback alone. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Repeats a run's random decisions. Default 1. */
  readonly seed?: number;
}

/**
 * A reverse proxy before a real API server that breaks what passes through it, by rules. Credentials in headers pass on; client
 * certificates cannot. Without rules it is as transparent as it can be, streaming watches included.
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new FaultProxy(options);
  await proxy.accept();
  return proxy;
}

export class FaultProxy implements AsyncDisposable {
  readonly #options: FaultProxyOptions;
  readonly #book: RuleBook;
  readonly #agent: http.Agent | https.Agent;
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #requests = 0;
  #accepting: Promise<void> | undefined;
  #closed = false;

  constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#book = new RuleBook(seededRandom(options.seed ?? 1));
    this.#agent = options.target.startsWith('https:')
      ? new https.Agent({ keepAlive: true, ...(options.ca === undefined ? {} : { ca: options.ca }) })
      : new http.Agent({ keepAlive: true });
    const serve = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    };
    this.#server = options.tls ? https.createServer(options.tls, serve) : http.createServer(serve);
    this.#server.keepAliveTimeout = 120_000;
    this.#server.requestTimeout = 0;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
  }

  /** `http://127.0.0.1:<port>`; stays the same over refuse and accept. */
  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  /** Requests that arrived. */
  get requests(): number {
    return this.#requests;
  }

  /** How often each kind of fault struck: `status-429`, `reset`, `lost-answer`, … */
  get counters(): Readonly<Record<string, number>> {
    return this.#book.counters;
  }

  /** Adds a rule; rules are tried in the order in which they were added, the first that strikes decides. */
  add(rule: Rule): ActiveRule {
    return this.#book.add(rule);
  }

  /** Takes all rules away and accepts connections. A slow answer under way goes on at full speed; a silent watch stays silent until its
   * connection ends: see `cut`. */
  async heal(): Promise<void> {
    this.#book.clear();
    await this.accept();
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Closes the port and resets every connection: whoever connects is refused, until `accept`. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** Opens the port again. */
  async accept(): Promise<void> {
    if (this.#closed || this.#server.listening) return;
    this.#accepting ??= this.#listen().finally(() => {
      this.#accepting = undefined;
    });
    await this.#accepting;
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = addressOf(this.#server).port;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.refuse();
    this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A kubeconfig (JSON) that leads through this proxy with a bearer token. */
  kubeconfig(token: string): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'proxy', cluster: { server: this.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'user', user: { token } }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'user' } }],
      'current-context': 'proxy',
    });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    this.#requests++;
    response.on('error', () => {});
    const seen = classify(request.method ?? 'GET', request.url ?? '/');
    const fault = this.#book.decide(seen);
    switch (fault?.kind) {
      case undefined:
        return this.#pass(request, response);
      case 'status':
        request.resume();
        return answerStatus(response, fault);
      case 'refuse':
        return this.#refuseFor(fault.forMs ?? 300);
      case 'reset':
        reset(request.socket);
        return;
      case 'lost-answer':
        return this.#lose(request, response);
      case 'hold':
        return this.#hold(request, response, fault);
      case 'slow':
        return this.#slow(request, response, fault);
      case 'truncate':
        return this.#truncate(request, response, fault.afterBytes);
      case 'silence':
      case 'watch-error':
        if (seen.verb === 'watch') return this.#breakWatch(request, response, fault);
        // Never answered. The body is taken in, or the client would notice.
        request.resume();
        return;
    }
  }

  async #refuseFor(ms: number): Promise<void> {
    await this.refuse();
    await delay(ms);
    await this.accept();
  }

  async #pass(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const answer = await this.#forward(request, response);
    writeHead(response, answer);
    for await (const chunk of answer) {
      if (response.destroyed) return answer.destroy() && undefined;
      if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
    finish(answer, request, response);
  }

  async #lose(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const answer = await this.#forward(request, response);
    for await (const _chunk of answer);
    reset(request.socket);
  }

  async #hold(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    fault: Extract<Fault, { kind: 'hold' }>,
  ): Promise<void> {
    const body: Buffer[] = [];
    for await (const chunk of chunksOf(request)) body.push(chunk);
    fault.onHeld();
    await fault.until;
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const upstream = this.#open(request, resolve);
      upstream.on('error', reject);
      upstream.end(Buffer.concat(body));
    });
    fault.onAnswer(answer.statusCode ?? 0);
    if (response.destroyed) return answer.destroy() && undefined;
    writeHead(response, answer);
    for await (const chunk of chunksOf(answer)) response.write(chunk);
    finish(answer, request, response);
  }

  /** A slow line that is mended lets what is under way through at once. */
  async #slow(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    fault: Extract<Fault, { kind: 'slow' }>,
  ): Promise<void> {
    const answer = await this.#forward(request, response);
    writeHead(response, answer);
    const { bytesPerSecond } = fault;
    const step = Math.max(1, Math.round(bytesPerSecond / 50));
    for await (const chunk of chunksOf(answer)) {
      for (let start = 0; start < chunk.length && !response.destroyed; start += step) {
        response.write(chunk.subarray(start, start + step));
        if (this.#book.isInForce(fault)) await delay((1000 * Math.min(step, chunk.length - start)) / bytesPerSecond);
      }
      if (response.destroyed) break;
    }
    finish(answer, request, response);
  }

  async #truncate(request: http.IncomingMessage, response: http.ServerResponse, afterBytes?: number): Promise<void> {
    const answer = await this.#forward(request, response);
    // Without content-length: the end must look proper, or it would be a mere reset.
    const { 'content-length': _length, ...headers } = withoutHopByHop(answer.headers);
    response.writeHead(answer.statusCode ?? 502, headers);
    response.flushHeaders();
    const watch = classify(request.method ?? 'GET', request.url ?? '/').verb === 'watch';
    const limit = afterBytes ?? (watch ? undefined : Math.floor(Number(answer.headers['content-length'] ?? 20) / 2));
    let passed = 0;
    for await (const chunk of chunksOf(answer)) {
      const left = limit === undefined ? Math.ceil(chunk.length / 2) : limit - passed;
      response.write(chunk.subarray(0, left));
      passed += chunk.length;
      if (limit === undefined || passed >= limit) break;
    }
    response.end();
    answer.destroy();
  }

  async #breakWatch(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    fault: Extract<Fault, { kind: 'silence' | 'watch-error' }>,
  ): Promise<void> {
    const wanted = fault.afterEvents ?? 0;
    if (wanted > 0) {
      const answer = await this.#forward(request, response);
      writeHead(response, answer);
      let seen = 0;
      for await (const line of linesOf(answer)) {
        response.write(line);
        if (++seen >= wanted) break;
      }
      answer.destroy();
    } else {
      request.resume();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
    }
    if (fault.kind === 'silence') return;
    const code = fault.code ?? 410;
    response.end(`${JSON.stringify({ type: 'ERROR', object: statusBody(code) })}\n`);
  }

  /** Sends the request on, and resolves with the head of the answer. A server that cannot be reached resets the client. */
  #forward(request: http.IncomingMessage, response: http.ServerResponse): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const upstream = this.#open(request, resolve);
      upstream.on('error', (error) => {
        reset(request.socket);
        reject(error);
      });
      // Whoever gives up on us has us give up on the server, as a watch without a reader would stay open for ever.
      response.once('close', () => response.writableFinished || upstream.destroy());
      request.pipe(upstream);
    });
  }

  #open(request: http.IncomingMessage, onAnswer: (answer: http.IncomingMessage) => void): http.ClientRequest {
    const target = new URL(this.#options.target);
    const { request: send } = target.protocol === 'https:' ? https : http;
    const options = {
      host: target.hostname,
      port: target.port,
      method: request.method,
      path: request.url,
      headers: { ...withoutHopByHop(request.headers), host: target.host },
      agent: this.#agent,
    };
    return send(options, onAnswer);
  }
}

/** A TLS socket cannot send RST by itself; ending it without close_notify is as rude. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'proxy-connection',
]);

function withoutHopByHop(headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

function writeHead(response: http.ServerResponse, answer: http.IncomingMessage): void {
  response.writeHead(answer.statusCode ?? 502, withoutHopByHop(answer.headers));
  // A watch's head must not wait for its first event.
  response.flushHeaders();
}

/** Ends the answer as the server ended it: properly, or not. */
function finish(answer: http.IncomingMessage, request: http.IncomingMessage, response: http.ServerResponse): void {
  if (answer.complete) response.end();
  else reset(request.socket);
}

function answerStatus(response: http.ServerResponse, fault: Extract<Fault, { kind: 'status' }>): void {
  const { retryAfterSeconds } = fault;
  response.writeHead(fault.status, {
    'content-type': 'application/json',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(JSON.stringify(statusBody(fault.status, fault.reason)));
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function statusBody(code: number, reason = REASONS[code] ?? 'Unknown'): object {
  const message = `injected: ${reason}`;
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

async function* chunksOf(answer: http.IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of answer) if (Buffer.isBuffer(chunk)) yield chunk;
}

async function* linesOf(answer: http.IncomingMessage): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunksOf(answer)) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      yield rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
    }
  }
}

function addressOf(server: http.Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen on a port');
  return address;
}
