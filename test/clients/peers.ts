/** Peers of the tests' own, for what none of the examples would do: with any certificate, or none. */
import { once } from 'node:events';
import { createServer, get } from 'node:https';
import { connect as connectPlainly } from 'node:net';
import { connect } from 'node:tls';
import type { SecretFiles } from './fleet.ts';

export interface Answer {
  /** What the server answered; undefined if the connection came to nothing. */
  readonly body?: string;
  readonly error?: string;
}

/** One GET. @param files key and certificate to show; undefined: none. The server is not verified: it is the one that is asked. */
export function ask(address: string, files: SecretFiles | undefined): Promise<Answer> {
  const [host, port] = address.split(':');
  const identity = files === undefined ? {} : { key: files['tls.key'], cert: files['tls.crt'] };
  return new Promise((resolve) => {
    const request = get({ host, port, agent: false, rejectUnauthorized: false, ...identity }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('error', (error) => resolve({ error: error.message }));
      response.once('end', () => resolve({ body }));
    });
    request.once('error', (error) => resolve({ error: error.message }));
  });
}

/** Connects twice, the second time with the session of the first, if the server gave one. @returns whether the server took it up */
export async function resumes(address: string, files: SecretFiles): Promise<boolean> {
  const [host = '', port] = address.split(':');
  const visit = (session: Buffer | undefined): Promise<{ reused: boolean; session: Buffer | undefined }> =>
    new Promise((resolve, reject) => {
      let given: Buffer | undefined;
      let reused = false;
      const socket = connect({
        host,
        port: Number(port),
        key: files['tls.key'],
        cert: files['tls.crt'],
        rejectUnauthorized: false,
        ...(session === undefined ? {} : { session }),
      });
      socket.on('session', (ticket) => {
        given = ticket;
      });
      socket.once('secureConnect', () => {
        reused = socket.isSessionReused();
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      });
      socket.resume();
      socket.once('error', reject);
      socket.once('close', () => resolve({ reused, session: given }));
    });
  const first = await visit(undefined);
  return first.session === undefined ? false : (await visit(first.session)).reused;
}

/** The certificate that a PostgreSQL server shows to a client with these files. */
export async function postgresSerial(port: number, files: SecretFiles): Promise<string> {
  const plain = connectPlainly(port, '127.0.0.1');
  await once(plain, 'connect');
  plain.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])); // SSLRequest
  await once(plain, 'readable');
  if (String(plain.read()) !== 'S') throw new Error('the server has no TLS');
  const socket = connect({ socket: plain, key: files['tls.key'], cert: files['tls.crt'], rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    const { serialNumber } = socket.getPeerCertificate();
    // In peace: the server would take a connection that breaks off for a failed handshake.
    socket.resume().end();
    await once(socket, 'close');
    return serialNumber;
  } finally {
    socket.destroy();
  }
}

export interface BadServer extends AsyncDisposable {
  readonly address: string;
}

/** A server that shows these files to anybody. */
export async function serve(files: SecretFiles): Promise<BadServer> {
  const server = createServer({ key: files['tls.key'], cert: files['tls.crt'] }, (_, response) =>
    response.end('hello\n'),
  );
  server.on('tlsClientError', () => {}); // the client refuses: that is what it is for
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not bound to a port');
  return {
    address: `127.0.0.1:${bound.port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
