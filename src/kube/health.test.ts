import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type HealthOptions, type HealthServer, type Readiness, serveHealth } from './health.ts';
import { createMetrics } from './metrics.ts';

let server: HealthServer | undefined;
afterEach(() => server?.close());

async function serve(options: Partial<HealthOptions> = {}): Promise<HealthServer> {
  server = await serveHealth({
    port: 0,
    host: '127.0.0.1',
    registry: createMetrics({ process: false }).registry,
    ready: () => ({ ok: true, checks: {} }),
    live: () => true,
    ...options,
  });
  return server;
}

function get(path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: server?.port, path, method }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

describe('probes', () => {
  test.each(['/healthz', '/livez'])('%s tells whether the process lives', async (path) => {
    let alive = true;
    await serve({ live: () => alive });
    expect(await get(path)).toEqual({ status: 200, body: 'ok\n' });
    alive = false;
    expect((await get(path)).status).toBe(503);
  });

  test('/readyz says what is missing, and with verbose what is there', async () => {
    let state: Readiness = { ok: false, checks: { leader: true, caches: 'secrets not listed yet' } };
    await serve({ ready: () => state });
    expect(await get('/readyz')).toEqual({ status: 503, body: '[-] caches: secrets not listed yet\nnot ready\n' });
    expect((await get('/readyz?verbose')).body).toContain('[+] leader\n');
    state = { ok: true, checks: { leader: true, caches: true } };
    expect(await get('/readyz')).toEqual({ status: 200, body: 'ok\n' });
    expect((await get('/readyz?verbose=1')).body).toBe('[+] leader\n[+] caches\nok\n');
  });

  test('a check that throws is a fault of ours and an answer, not a crash', async () => {
    await serve({
      ready: () => {
        throw new Error('oops');
      },
    });
    expect((await get('/readyz')).status).toBe(500);
    expect((await get('/healthz')).status).toBe(200);
  });
});

describe('metrics', () => {
  test('come from the registry, then from whoever makes lines at each scrape', async () => {
    const metrics = createMetrics({ process: false });
    metrics.leader.set({ name: 'l' }, 1);
    await serve({
      registry: metrics.registry,
      *moreMetrics() {
        for (let i = 0; i < 20_000; i++) yield `certificate_expiry_seconds{name="web-${i}"} ${i}\n`;
      },
    });
    const { status, body } = await get('/metrics');
    expect(status).toBe(200);
    expect(body).toContain('leader_election_master_status{name="l"} 1\n');
    expect(body.split('\n').filter((line) => line.startsWith('certificate_expiry_seconds'))).toHaveLength(20_000);
  });

  test('a scraper that goes away in the middle harms nobody', async () => {
    let asked = 0;
    await serve({
      *moreMetrics() {
        for (;;) {
          asked++;
          yield `x ${'9'.repeat(1_000)}\n`;
        }
      },
    });
    await new Promise<void>((resolve) => {
      const socket = connect(server?.port ?? 0, '127.0.0.1', () => {
        socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
        socket.once('data', () => {
          socket.destroy();
          resolve();
        });
      });
    });
    expect((await get('/healthz')).status).toBe(200);
    expect(asked).toBeGreaterThan(0);
  });
});

test.each([
  ['/', 'GET', 404],
  ['/metrics/../x', 'GET', 404],
  ['/healthz', 'POST', 405],
  ['/healthz', 'HEAD', 200],
  ['//%00', 'GET', 404],
])('%s %s is answered with %i', async (path, method, status) => {
  await serve();
  expect((await get(path, method)).status).toBe(status);
});

test('a port that is taken is an error of the start', async () => {
  const { port } = await serve();
  const options = {
    registry: createMetrics({ process: false }).registry,
    ready: () => ({ ok: true, checks: {} }),
    live: () => true,
  };
  await expect(serveHealth({ ...options, port, host: '127.0.0.1' })).rejects.toThrow('EADDRINUSE');
});
