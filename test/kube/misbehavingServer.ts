import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type ClusterAuthority, makeClusterAuthority } from '../cluster/credentials.ts';

/** An HTTPS server whose every answer a test decides, down to the socket. */
export interface MisbehavingServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly authority: ClusterAuthority;
  readonly caPem: string;
  /** Every request that came: method, URL, headers and body. */
  readonly requests: ReceivedRequest[];
  /** Connections made so far. */
  readonly connections: number;
  /** Decides the answers from now on. */
  handler: RequestListener;
  /** Resets every connection, below TLS. */
  reset(): void;
  close(): Promise<void>;
}

export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Common name of the client certificate. */
  readonly client: string | undefined;
}

export async function startMisbehavingServer(
  handler: RequestListener,
  options: {
    dnsNames?: readonly string[];
    requestClientCertificate?: boolean;
    /** What becomes of a connection that asks for another protocol; left out: `handler` answers it. */
    upgrade?: (request: IncomingMessage, socket: Duplex) => void;
    /** Instead of a free port and a new authority: those of a server that is gone. */
    inPlaceOf?: MisbehavingServer;
  } = {},
): Promise<MisbehavingServer> {
  const authority = options.inPlaceOf?.authority ?? makeClusterAuthority('misbehaving');
  const credential = authority.serving(options.dnsNames ?? []);
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = https.createServer({
    cert: credential.certificate,
    key: credential.key,
    ca: authority.certificate,
    requestCert: options.requestClientCertificate === true,
    rejectUnauthorized: false,
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        client: clientName(request.socket),
      });
      self.handler(request, response);
    });
  });
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  if (options.upgrade !== undefined) server.on('upgrade', options.upgrade);
  server.listen(options.inPlaceOf?.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = addressOf(server);
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const self: MisbehavingServer = {
    url: `https://127.0.0.1:${port}`,
    port,
    authority,
    caPem: authority.certificate,
    requests,
    get connections() {
      return connections;
    },
    handler,
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return self;
}

function clientName(socket: Socket): string | undefined {
  const name: unknown = socket instanceof TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined;
  return typeof name === 'string' ? name : undefined;
}

function addressOf(server: https.Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address;
}

/** Answers 200 with JSON. */
export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
