import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { collect, failure, get, open, POLL, serve, to } from './harness.ts';
import { json } from './misbehavingServer.ts';
import { NEVER } from './support.ts';

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
    for await (const item of transport.watch({ path: '/w', signal: NEVER, idleMs: 20_000 })) {
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
      for await (const _line of transport.watch({ path: '/w', signal: stopper.signal, idleMs: 20_000 }))
        stopper.abort(reason);
    })();
    expect(await failure(reading)).toBe(reason);
    await expect.poll(() => closed, POLL).toBe(true);
    const late = transport.watch({ path: '/w', signal: stopper.signal, idleMs: 20_000 }).next();
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
    for await (const _line of open(to(server)).transport.watch({ path: '/w', signal: NEVER, idleMs: 20_000 })) break;
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
