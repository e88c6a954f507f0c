import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range from which kernels give ports to outgoing connections (32768 on Linux, 49152 elsewhere): a server that is stopped for a
// test finds its port still free when it is started again.
const first = 20_000;
const last = 32_767;

/** A port of the loopback interface on which nothing listens right now. Another process may still take it before the caller does. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(first, last + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free TCP port found between ${first} and ${last} on 127.0.0.1`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Whether the log of a Go server says that its port was in use. */
export function isPortTaken(log: string): boolean {
  return log.includes('address already in use');
}
