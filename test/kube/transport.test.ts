import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createNetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  ApiError,
  type Connection,
  createMetrics,
  createTransport,
  systemClock,
  type TlsMaterial,
  type Transport,
  TransportError,
} from '../../src/kube/index.ts';
import { makeClusterAuthority } from '../cluster/credentials.ts';
import { json, type MisbehavingServer, startMisbehavingServer } from './misbehavingServer.ts';
import { connectionTo, keptLog, NEVER } from './support.ts';

const POLL = { timeout: 20_000 };
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

async function serve(
  handler: Parameters<typeof startMisbehavingServer>[0] = (_request, response) => json(response, { ok: true }),
  options: Parameters<typeof startMisbehavingServer>[1] = {},
): Promise<MisbehavingServer> {
  const server = await startMisbehavingServer(handler, options);
  cleanUp.push(() => server.close());
  return server;
}

function open(connection: Connection, options: { maxConnections?: number; maxAnswerBytes?: number } = {}) {
  const metrics = createMetrics({ process: false });
  const log = keptLog();
  const transport = createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics,
    log,
    userAgent: 'mtls-operator/test',
    ...options,
  });
  cleanUp.push(() => transport.close());
  return { transport, metrics, log };
}

const to = (server: MisbehavingServer, token = 't'): Connection =>
  connectionTo({ url: server.url, token, caPem: server.caPem });

function withTls(server: MisbehavingServer, tls: TlsMaterial, more: Partial<Connection> = {}): Connection {
  return { server: server.url, source: 'a test', credentials: async () => ({ headers: {}, tls }), ...more };
}

const get = (transport: Transport, deadlineMs = 5_000): Promise<unknown> =>
  transport.request({ method: 'GET', path: '/x', deadlineMs, signal: NEVER });
const post = (transport: Transport, deadlineMs = 5_000): Promise<unknown> =>
  transport.request({ method: 'POST', path: '/x', body: { a: 'ü' }, deadlineMs, signal: NEVER });

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.unreachable(`it succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

describe('a request', () => {
  test('carries method, path, query, body, credentials and who we are', async () => {
    const server = await serve();
    const { transport } = open(to(server, 'secret'));
    const answer = await transport.request({
      method: 'PATCH',
      path: '/api/v1/namespaces/a%2Fb/secrets/c',
      query: { fieldManager: 'm o', labelSelector: 'a=b,c!=d' },
      body: { text: 'grüße' },
      signal: NEVER,
    });
    expect(answer).toEqual({ ok: true });
    expect(server.requests).toMatchObject([
      {
        method: 'PATCH',
        url: '/api/v1/namespaces/a%2Fb/secrets/c?fieldManager=m+o&labelSelector=a%3Db%2Cc%21%3Dd',
        body: '{"text":"grüße"}',
        headers: {
          authorization: 'Bearer secret',
          accept: 'application/json',
          'content-type': 'application/merge-patch+json',
          'user-agent': 'mtls-operator/test',
        },
      },
    ]);
  });

  test('goes below the path of the server, as of a gateway before many clusters', async () => {
    const server = await serve();
    const { transport } = open({ ...to(server), server: `${server.url}/k8s/clusters/c-1/` });
    await get(transport);
    expect(server.requests[0]?.url).toBe('/k8s/clusters/c-1/x');
  });

  test('an answer without a body is undefined', async () => {
    const server = await serve((_request, response) => response.writeHead(204).end());
    expect(await get(open(to(server)).transport)).toBeUndefined();
  });

  test('a hundred requests share a few connections', async () => {
    const server = await serve();
    const { transport } = open(to(server), { maxConnections: 4 });
    await Promise.all(Array.from({ length: 100 }, () => get(transport)));
    expect(server.requests).toHaveLength(100);
    expect(server.connections).toBeLessThanOrEqual(4);
  });

  test('a redirect is not followed: credentials stay with the server they are for', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(302, { location: 'https://evil.example' }).end(),
    );
    expect(await failure(get(open(to(server)).transport))).toMatchObject({ status: 302 });
  });
});

describe('an answer that is no success', () => {
  test('is an ApiError with what the server said', async () => {
    const server = await serve((_request, response) =>
      json(
        response,
        { kind: 'Status', reason: 'AlreadyExists', message: 'secrets "a" already exists', code: 409 },
        409,
      ),
    );
    const error = await failure(post(open(to(server)).transport));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 409, reason: 'AlreadyExists', message: 'secrets "a" already exists' });
  });

  test('503 of a load balancer is repeated for a read until it passes', async () => {
    let count = 0;
    const server = await serve((_request, response) => {
      if (count++ < 3) response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>no</h1>');
      else json(response, { ok: 1 });
    });
    const { transport, metrics } = open(to(server));
    expect(await get(transport)).toEqual({ ok: 1 });
    const text = await metrics.registry.metrics();
    const host = `host="127.0.0.1:${server.port}"`;
    expect(text).toContain(`rest_client_requests_total{code="503",method="GET",${host}} 3`);
    expect(text).toContain(`rest_client_request_retries_total{method="GET",${host},cause="503"} 3`);
  });

  test('is thrown as it is when waiting for the next try would pass the deadline', async () => {
    const server = await serve((_request, response) => response.writeHead(429, { 'retry-after': '60' }).end());
    const started = performance.now();
    expect(await failure(post(open(to(server)).transport))).toMatchObject({ status: 429, retryAfterMs: 60_000 });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('waits out Retry-After as an HTTP date', async () => {
    const times: number[] = [];
    const server = await serve((_request, response) => {
      times.push(performance.now());
      // Dates have whole seconds: two ahead is at least one from now.
      const date = new Date(Date.now() + 2_000).toUTCString();
      if (times.length === 1) response.writeHead(429, { 'retry-after': date }).end();
      else json(response, {});
    });
    await post(open(to(server)).transport);
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(900);
  });
});

describe('credentials', () => {
  function rotating(server: MisbehavingServer, tokens: string[]): Connection & { calls: boolean[] } {
    const calls: boolean[] = [];
    const tls = { ca: server.caPem };
    return {
      server: server.url,
      source: 'a test',
      calls,
      credentials: async (options) => {
        calls.push(options?.fresh === true);
        const token = tokens[Math.min(calls.length - 1, tokens.length - 1)];
        return { headers: { authorization: `Bearer ${token}` }, tls };
      },
    };
  }
  const onlyNew: Parameters<typeof startMisbehavingServer>[0] = (request, response) => {
    if (request.headers.authorization === 'Bearer new') json(response, { ok: 1 });
    else json(response, { kind: 'Status', code: 401, reason: 'Unauthorized' }, 401);
  };

  test('that the server refuses are fetched anew, once for all who were refused, and a write is repeated', async () => {
    const server = await serve(onlyNew);
    const connection = rotating(server, ['old', 'new']);
    const { transport } = open(connection);
    expect(await Promise.all(Array.from({ length: 10 }, () => post(transport)))).toHaveLength(10);
    expect(connection.calls).toEqual([false, true]);
  });

  test('that are refused again are given up', async () => {
    const server = await serve(onlyNew);
    const connection = rotating(server, ['old', 'older']);
    expect(await failure(get(open(connection).transport))).toMatchObject({ status: 401 });
    expect(server.requests).toHaveLength(2);
  });

  test('are fetched anew for a watch too', async () => {
    const server = await serve((request, response) => {
      if (request.headers.authorization !== 'Bearer new') response.writeHead(401).end('{}');
      else response.writeHead(200).end('{"type":"BOOKMARK"}\n');
    });
    const lines = await collect(open(rotating(server, ['old', 'new'])).transport);
    expect(lines).toEqual([{ type: 'BOOKMARK' }]);
  });

  test('that cannot be had at all are reported with the reason, within the deadline', async () => {
    const server = await serve();
    const connection = {
      ...to(server),
      credentials: () => Promise.reject(new Error('the exec plugin failed: please log in')),
    };
    const error = await failure(get(open(connection).transport, 300));
    expect(error).toMatchObject({
      kind: 'credentials',
      ambiguous: false,
      message: expect.stringContaining('please log in'),
    });
  });

  test('that never come end with the deadline', async () => {
    const server = await serve();
    const connection = { ...to(server), credentials: () => new Promise<never>(() => {}) };
    expect(await failure(post(open(connection).transport, 200))).toMatchObject({ kind: 'deadline', ambiguous: false });
  });
});

describe('TLS', () => {
  test('a server of another authority gets nothing, not even the token', async () => {
    const server = await serve();
    const { transport } = open(
      connectionTo({ url: server.url, token: 't', caPem: makeClusterAuthority('other').certificate }),
    );
    const error = await failure(post(transport, 300));
    expect(error).toMatchObject({ kind: 'tls', ambiguous: false });
    expect(server.requests).toEqual([]);
  });

  test('a certificate for another name is refused, unless tls-server-name says so', async () => {
    const server = await serve(undefined, { dnsNames: ['kubernetes.default.svc'] });
    const elsewhere = { ca: server.caPem, servername: 'api.example.com' };
    expect(await failure(get(open(withTls(server, elsewhere)).transport, 300))).toMatchObject({ kind: 'tls' });
    const named = { ca: server.caPem, servername: 'kubernetes.default.svc' };
    expect(await get(open(withTls(server, named)).transport)).toEqual({ ok: true });
  });

  test('insecure-skip-tls-verify takes any certificate', async () => {
    const server = await serve();
    expect(await get(open(withTls(server, { insecure: true })).transport)).toEqual({ ok: true });
  });

  test('a client certificate is shown, and a new one on new connections once the old is replaced', async () => {
    const server = await serve(
      (request, response) => {
        const names = server.requests.map(({ client }) => client);
        if (names.at(-1) === 'old' && request.url === '/rotated') response.writeHead(401).end();
        else json(response, {});
      },
      { requestClientCertificate: true },
    );
    const material = (user: string): TlsMaterial => {
      const { certificate, key } = server.authority.client(user, []);
      return { ca: server.caPem, cert: certificate, key };
    };
    const [first, second] = [material('old'), material('new')];
    const connection = {
      ...withTls(server, first),
      credentials: async (options?: { fresh?: boolean }) => ({ headers: {}, tls: options?.fresh ? second : first }),
    };
    const { transport } = open(connection);
    await get(transport);
    await transport.request({ method: 'PUT', path: '/rotated', body: {}, signal: NEVER });
    expect(server.requests.map(({ client }) => client)).toEqual(['old', 'old', 'new']);
  });
});

describe('a fault of the connection', () => {
  test('a port that nobody listens on: a write is repeated until somebody does', async () => {
    const server = await serve();
    await server.close();
    cleanUp.length = 0;
    const written = post(open(to(server)).transport, 20_000);
    await delay(300);
    // Then it listens, and fails every handshake: still nothing was sent.
    const halfway = createNetServer((socket) => socket.destroy()).listen(server.port, '127.0.0.1');
    await once(halfway, 'listening');
    await delay(300);
    await new Promise((resolve) => halfway.close(resolve));
    const back = await serve(undefined, { inPlaceOf: server });
    expect(await written).toEqual({ ok: true });
    expect(back.requests).toHaveLength(1);
  });

  test('in the middle of an answer: ambiguous for a write, repeated for a read', async () => {
    let broken = 0;
    const server = await serve((_request, response) => {
      if (broken++ < 2) {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"a":');
        setTimeout(() => server.reset(), 20);
      } else json(response, { ok: 1 });
    });
    const { transport } = open(to(server));
    expect(await failure(post(transport))).toMatchObject({ kind: 'reset', ambiguous: true });
    expect(await get(transport)).toEqual({ ok: 1 });
  });

  test('an idle connection that the server closed is not noticed by anybody', async () => {
    const server = await serve((_request, response) => {
      json(response, {});
      response.socket?.end();
    });
    const { transport } = open(to(server), { maxConnections: 1 });
    for (let i = 0; i < 20; i++) {
      await post(transport);
      await delay(5);
    }
    expect(server.requests).toHaveLength(20);
  });

  test.each([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.7\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
    ['a chunk size that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n{}'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
    ['nothing', ''],
  ])('%s is a fault as any other', async (_name, bytes) => {
    const server = await serve((request) => {
      request.socket.write(bytes);
      request.socket.end();
    });
    const { transport } = open(to(server));
    expect(await failure(post(transport))).toBeInstanceOf(TransportError);
    expect(await failure(get(transport, 300))).toBeInstanceOf(TransportError);
  });

  test('an answer larger than allowed is cut off, and not asked for again', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    const { transport } = open(to(server), { maxAnswerBytes: 100_000 });
    expect(await failure(get(transport))).toMatchObject({ kind: 'too-large' });
    expect(server.requests).toHaveLength(1);
  });

  test('an answer that is no JSON does not put its text into the error: it may be a Secret', async () => {
    const server = await serve((_request, response) => response.end('{"tls.key":"S3CRET'));
    const error = await failure(post(open(to(server)).transport));
    expect(error).toMatchObject({ kind: 'truncated', ambiguous: true });
    expect(String(error)).not.toContain('S3CRET');
  });
});

describe('calling off', () => {
  test('a request that was sent: the signal’s reason, and the connection ends', async () => {
    let closed = false;
    const server = await serve((request) => {
      request.socket.on('close', () => {
        closed = true;
      });
    });
    const stopper = new AbortController();
    const { transport } = open(to(server));
    const asked = transport.request({ method: 'GET', path: '/x', signal: stopper.signal });
    await expect.poll(() => server.requests.length, POLL).toBe(1);
    const reason = new Error('shutting down');
    stopper.abort(reason);
    expect(await failure(asked)).toBe(reason);
    await expect.poll(() => closed, POLL).toBe(true);
  });

  test('a request that waits for a free connection: it is never sent', async () => {
    const held: (() => void)[] = [];
    const server = await serve((_request, response) => {
      held.push(() => json(response, {}));
    });
    const { transport } = open(to(server), { maxConnections: 1 });
    const first = get(transport);
    await expect.poll(() => held.length, POLL).toBe(1);
    const stopper = new AbortController();
    const second = transport.request({ method: 'POST', path: '/second', body: {}, signal: stopper.signal });
    const third = transport.request({ method: 'POST', path: '/third', body: {}, deadlineMs: 100, signal: NEVER });
    stopper.abort(new Error('no more'));
    expect(await failure(second)).toMatchObject({ message: 'no more' });
    expect(await failure(third)).toMatchObject({ kind: 'deadline', ambiguous: false });
    held[0]?.();
    await first;
    server.handler = (_request, response) => json(response, {});
    await get(transport);
    expect(server.requests.map(({ url }) => url)).toEqual(['/x', '/x']);
  });

  test('closing the transport fails what is in flight and what comes', async () => {
    const server = await serve(() => {});
    const { transport } = open(to(server));
    const asked = post(transport);
    await expect.poll(() => server.requests.length, POLL).toBe(1);
    await transport.close();
    expect(await failure(asked)).toBeInstanceOf(TransportError);
    expect(await failure(get(transport))).toMatchObject({ kind: 'closed' });
  });
});

async function collect(transport: Transport, idleMs = 2_000): Promise<unknown[]> {
  const lines: unknown[] = [];
  for await (const line of transport.watch({ path: '/w', signal: NEVER, idleMs })) lines.push(line);
  return lines;
}

describe('a watch', () => {
  test('is its lines, however the bytes come', async () => {
    const text = '{"t":"grüße 🎈"}\n\n{"n":1}\n{"n":2}\n';
    const server = await serve(async (_request, response) => {
      response.writeHead(200);
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.of(byte));
        await delay(1);
      }
      response.end();
    });
    expect(await collect(open(to(server)).transport)).toEqual([{ t: 'grüße 🎈' }, { n: 1 }, { n: 2 }]);
  });

  test('takes a line of megabytes', async () => {
    const server = await serve((_request, response) =>
      response.end(`${JSON.stringify({ t: 'ü'.repeat(2_000_000) })}\n{}\n`),
    );
    const lines = await collect(open(to(server)).transport);
    expect(lines).toHaveLength(2);
  });

  test('gives up a line that does not end', async () => {
    const server = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1_000_000)));
      };
      response.on('drain', more);
      more();
    });
    expect(await failure(collect(open(to(server)).transport, 20_000))).toMatchObject({ kind: 'too-large' });
  });

  test.each([
    ['a line that is no JSON', '{"a":1}\nnonsense\n', 'truncated'],
    ['an end in the middle of a line', '{"a":1}\n{"a"', 'truncated'],
    ['a page for people', '<!doctype html>\n<p>log in</p>\n', 'truncated'],
  ])('%s is a fault', async (_name, body, kind) => {
    const server = await serve((_request, response) => response.end(body));
    expect(await failure(collect(open(to(server)).transport))).toMatchObject({ kind });
  });

  test('that falls silent is given up', async () => {
    const server = await serve((_request, response) => response.writeHead(200).write('{"n":1}\n'));
    expect(await failure(collect(open(to(server)).transport, 200))).toMatchObject({ kind: 'idle' });
  });

  test('whose bytes trickle without ever making a line is silent all the same', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    });
    expect(await failure(collect(open(to(server)).transport, 300))).toMatchObject({ kind: 'idle' });
  });

  test('that is never answered is given up', async () => {
    const server = await serve(() => {});
    expect(await failure(collect(open(to(server)).transport, 200))).toMatchObject({ kind: 'idle' });
  });

  test('that is refused is an ApiError', async () => {
    const server = await serve((_request, response) =>
      json(response, { kind: 'Status', reason: 'Expired', code: 410, message: 'too old resource version' }, 410),
    );
    expect(await failure(collect(open(to(server)).transport))).toMatchObject({ status: 410, reason: 'Expired' });
  });

  test('that breaks off is a fault', async () => {
    const server = await serve((_request, response) => {
      response.write('{"n":1}\n');
      setTimeout(() => server.reset(), 20);
    });
    expect(await failure(collect(open(to(server)).transport))).toMatchObject({ kind: 'reset' });
  });

  test('a slow reader holds the server back instead of filling the memory, and misses nothing', async () => {
    let written = 0;
    const total = 40_000;
    const line = (n: number): string => `{"n":${n},"pad":"${'x'.repeat(1_000)}"}\n`;
    const server = await serve((_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (written < total) if (!response.write(line(written++))) return;
        response.end();
      };
      response.on('drain', more);
      more();
    });
    const { transport } = open(to(server));
    let read = 0;
    for await (const item of transport.watch({ path: '/w', signal: NEVER, idleMs: 5_000 })) {
      expect(item).toMatchObject({ n: read });
      if (read++ === 0) {
        await delay(500);
        // 40 MB wait to be sent; what is under way fits into the buffers of both kernels and the high-water mark.
        expect(written).toBeLessThan(total / 2);
      }
    }
    expect(read).toBe(total);
  });

  test('ends with its signal’s reason, and lets go of the connection', async () => {
    let closed = false;
    const server = await serve((_request, response) => {
      response.writeHead(200).write('{"n":1}\n');
      response.on('close', () => {
        closed = true;
      });
    });
    const stopper = new AbortController();
    const { transport } = open(to(server));
    const reason = new Error('over');
    const reading = (async () => {
      for await (const _line of transport.watch({ path: '/w', signal: stopper.signal, idleMs: 5_000 }))
        stopper.abort(reason);
    })();
    expect(await failure(reading)).toBe(reason);
    await expect.poll(() => closed, POLL).toBe(true);
    const late = transport.watch({ path: '/w', signal: stopper.signal, idleMs: 5_000 }).next();
    expect(await failure(late)).toBe(reason);
  });

  test('that is left in the middle lets go of the connection', async () => {
    let closed = false;
    const server = await serve((_request, response) => {
      response.writeHead(200).write('{"n":1}\n{"n":2}\n');
      response.on('close', () => {
        closed = true;
      });
    });
    for await (const _line of open(to(server)).transport.watch({ path: '/w', signal: NEVER, idleMs: 5_000 })) break;
    await expect.poll(() => closed, POLL).toBe(true);
  });

  test('a hundred watches do not keep a request waiting', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/w') response.writeHead(200).flushHeaders();
      else json(response, { ok: 1 });
    });
    const { transport } = open(to(server), { maxConnections: 2 });
    const stopper = new AbortController();
    const watches = Array.from({ length: 100 }, () =>
      transport.watch({ path: '/w', signal: stopper.signal, idleMs: 60_000 }).next(),
    );
    await expect.poll(() => server.requests.length, POLL).toBe(100);
    expect(await get(transport)).toEqual({ ok: 1 });
    stopper.abort(new Error('enough'));
    await Promise.allSettled(watches);
  });
});

describe('proxies', () => {
  test('an HTTP proxy is asked for a tunnel, and sees nothing of what is inside', async () => {
    const server = await serve();
    const asked: string[] = [];
    const proxy = createHttpServer((_request, response) => response.writeHead(400).end());
    proxy.on('connect', (request, client: Socket) => {
      asked.push(request.url ?? '');
      tunnel(client, server.port, () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    cleanUp.push(async () => {
      proxy.closeAllConnections();
      proxy.close();
    });
    const proxyUrl = `http://127.0.0.1:${portOf(proxy.address())}`;
    const { transport } = open(withTls(server, { ca: server.caPem }, { proxyUrl }));
    expect(await get(transport)).toEqual({ ok: true });
    expect(await get(transport)).toEqual({ ok: true });
    expect(new Set(asked)).toEqual(new Set([`127.0.0.1:${server.port}`]));
    expect(server.requests).toHaveLength(2);
  });

  test('a SOCKS5 proxy is asked for a connection', async () => {
    const server = await serve();
    let asked = 0;
    const proxy = createNetServer((client) => {
      client.on('error', () => {});
      client.once('data', () => {
        client.write(Buffer.of(5, 0));
        client.once('data', () => {
          asked++;
          tunnel(client, server.port, () => client.write(Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0)));
        });
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    cleanUp.push(() => new Promise((resolve) => proxy.close(resolve)));
    const proxyUrl = `socks5://127.0.0.1:${portOf(proxy.address())}`;
    const { transport } = open(withTls(server, { ca: server.caPem }, { proxyUrl }));
    expect(await get(transport)).toEqual({ ok: true });
    expect(asked).toBe(1);
  });

  test('the authority of the API server is checked behind a proxy too', async () => {
    const server = await serve();
    const proxy = createHttpServer();
    proxy.on('connect', (_request, client: Socket) => {
      tunnel(client, server.port, () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    cleanUp.push(async () => {
      proxy.closeAllConnections();
      proxy.close();
    });
    const proxyUrl = `http://127.0.0.1:${portOf(proxy.address())}`;
    const wrong = { ca: makeClusterAuthority('other').certificate };
    expect(await failure(get(open(withTls(server, wrong, { proxyUrl })).transport, 300))).toBeInstanceOf(
      TransportError,
    );
    expect(server.requests).toEqual([]);
  });
});

function tunnel(client: Socket, port: number, ready: () => void): void {
  const upstream = connect(port, '127.0.0.1', () => {
    ready();
    upstream.pipe(client);
    client.pipe(upstream);
  });
  upstream.on('error', () => client.destroy());
  client.on('error', () => upstream.destroy());
  client.on('close', () => upstream.destroy());
}

function portOf(address: unknown): number {
  if (typeof address === 'object' && address !== null && 'port' in address && typeof address.port === 'number')
    return address.port;
  throw new Error('no port');
}
