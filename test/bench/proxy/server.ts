/** What clients of the bench talk to: on one port everything comes back, on the other it is counted. Usage: node server.ts */
import { createServer, type Socket } from 'node:net';

export const benchPorts = { echo: 7000, sink: 7001 } as const;

if (import.meta.main) {
  const echo = (socket: Socket): void => {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  };
  const sink = (socket: Socket): void => {
    let count = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', ({ length }) => {
      count += length;
    });
    socket.on('end', () => socket.end(String(count)));
  };
  const options = { allowHalfOpen: true };
  createServer(options, sink).listen(benchPorts.sink, '0.0.0.0', () => {
    createServer(echo).listen(benchPorts.echo, '0.0.0.0', () => process.stdout.write('ready\n'));
  });
}
