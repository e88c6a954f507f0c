import { once } from 'node:events';
import { createServer as createNetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ApiError, type Connection, TransportError } from '../../src/kube/index.ts';
import { collect, failure, get, open, POLL, post, serve, to } from './harness.ts';
import { json, type MisbehavingServer, type startMisbehavingServer } from './misbehavingServer.ts';
import { NEVER } from './support.ts';

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
          'user-agent': 'mtls-operator-test',
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
    expect(performance.now() - started).toBeLessThan(20_000); // the deadline
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

describe('a fault of the connection', () => {
  test('a port that nobody listens on: a write is repeated until somebody does', async () => {
    const server = await serve();
    await server.close();
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
