import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createNetServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type TlsMaterial, TransportError } from '../../src/kube/index.ts';
import { makeClusterAuthority } from '../cluster/credentials.ts';
import { atEnd, failure, get, open, post, serve, withTls } from './harness.ts';
import { json } from './misbehavingServer.ts';
import { connectionTo, NEVER } from './support.ts';

describe('TLS', () => {
  test('a server of another authority gets nothing, not even the token', async () => {
    const server = await serve();
    const { transport } = open(
      connectionTo({ url: server.url, token: 't', caPem: makeClusterAuthority('other').certificate }),
    );
    // A handshake must have failed before the deadline, however busy the machine is.
    const error = await failure(post(transport, 3_000));
    expect(error).toMatchObject({ kind: 'tls', ambiguous: false });
    expect(server.requests).toEqual([]);
  });

  test('a certificate for another name is refused, unless tls-server-name says so', async () => {
    const server = await serve(undefined, { dnsNames: ['kubernetes.default.svc'] });
    const elsewhere = { ca: server.caPem, servername: 'api.example.com' };
    expect(await failure(get(open(withTls(server, elsewhere)).transport, 3_000))).toMatchObject({ kind: 'tls' });
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
    atEnd(async () => {
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
    atEnd(() => new Promise((resolve) => proxy.close(resolve)));
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
    atEnd(async () => {
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
