/**
 * The application of a pod, in the pod's network: answers what comes, and tells its parent of every connection that it got, one JSON line each. Usage: node application.ts KEY CERT
 */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [keyFile = '', certFile = ''] = process.argv.slice(2);

/** What the test looks at. */
export const ports = {
  plain: 8080,
  other: 9999,
  ownTls: 8443,
  serverFirst: 3306,
  otherServerFirst: 3307,
  http: 8081,
  https: 8444,
  grpc: 9000,
} as const;

function serve(port: number, greeting?: string) {
  return (socket: Socket): void => {
    process.stdout.write(`${JSON.stringify({ port, peer: socket.remoteAddress })}\n`);
    socket.on('error', () => socket.destroy());
    if (greeting !== undefined) socket.write(greeting);
    socket.on('data', (data) => socket.write(`${port} got ${data.toString('latin1')}`));
  };
}

function answerHttp(request: IncomingMessage, response: ServerResponse): void {
  const { socket, url } = request;
  if (url === '/moved') {
    response.writeHead(302, { location: '/elsewhere' }).end();
    return;
  }
  response.statusCode = url === '/unwell' ? 500 : 200;
  if (url === '/host') response.end(request.headers.host);
  else response.end(url === '/peer' ? `${socket.remoteAddress} ${socket.remotePort}` : `asked for ${url}`);
}

const SLOWNESS_MS = 1_500;

/** grpc.health.v1.Health/Check without a library: the service `shop` is serving, `slow` says so after a while, others are not. */
function answerHealth(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const question = Buffer.concat(chunks);
    const status = question.includes('shop') || question.includes('slow') ? 1 : 2;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    // Length-prefixed message: field 1, a number.
    const answer = Buffer.from([0, 0, 0, 0, 2, 8, status]);
    setTimeout(() => stream.destroyed || stream.end(answer), question.includes('slow') ? SLOWNESS_MS : 0);
  });
  stream.on('error', () => stream.destroy());
}

if (import.meta.main) {
  const own = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  const servers = [
    createServer(serve(ports.plain)).listen(ports.plain, '::'),
    createServer(serve(ports.other)).listen(ports.other, '::'),
    createServer(serve(ports.serverFirst, 'hello from 3306')).listen(ports.serverFirst, '::'),
    createServer(serve(ports.otherServerFirst, 'hello from 3307')).listen(ports.otherServerFirst, '::'),
    createTlsServer(own, serve(ports.ownTls)).listen(ports.ownTls, '::'),
    createHttpServer(answerHttp).listen(ports.http, '::'),
    createHttpsServer(own, answerHttp).listen(ports.https, '::'),
    createHttp2Server().on('stream', answerHealth).listen(ports.grpc, '::'),
  ];
  let waiting = servers.length;
  for (const server of servers)
    server.once('listening', () => {
      waiting -= 1;
      if (waiting === 0) process.stdout.write('{"ready":true}\n');
    });
}
