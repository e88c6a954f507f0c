/**
 * The application of a pod, in the pod's network: answers what comes, and tells its parent of every connection that it got, one JSON line each. Usage: node application.ts KEY CERT
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [keyFile = '', certFile = ''] = process.argv.slice(2);

/** What the test looks at. */
export const ports = { plain: 8080, other: 9999, ownTls: 8443, serverFirst: 3306, otherServerFirst: 3307 } as const;

function serve(port: number, greeting?: string) {
  return (socket: Socket): void => {
    process.stdout.write(`${JSON.stringify({ port, peer: socket.remoteAddress })}\n`);
    socket.on('error', () => socket.destroy());
    if (greeting !== undefined) socket.write(greeting);
    socket.on('data', (data) => socket.write(`${port} got ${data.toString('latin1')}`));
  };
}

if (import.meta.main) {
  const own = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  const servers = [
    createServer(serve(ports.plain)).listen(ports.plain, '::'),
    createServer(serve(ports.other)).listen(ports.other, '::'),
    createServer(serve(ports.serverFirst, 'hello from 3306')).listen(ports.serverFirst, '::'),
    createServer(serve(ports.otherServerFirst, 'hello from 3307')).listen(ports.otherServerFirst, '::'),
    createTlsServer(own, serve(ports.ownTls)).listen(ports.ownTls, '::'),
  ];
  let waiting = servers.length;
  for (const server of servers)
    server.once('listening', () => {
      waiting -= 1;
      if (waiting === 0) process.stdout.write('{"ready":true}\n');
    });
}
