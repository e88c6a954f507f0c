// Greets every client by the name in its certificate, over mutual TLS with the files of a mounted Secret. Never has to be restarted for a new
// certificate. Writes JSON lines: whenever it has loaded a certificate, a peer comes with a new one, or a handshake fails.
//
//   node server.mjs --certs /var/run/mtls --listen 8443
import { createServer } from 'node:https';
import { parseArgs } from 'node:util';
import { describe, log, nameOf, watchIdentity } from './mtls.mjs';

const { values } = parseArgs({
  options: {
    certs: { type: 'string', default: '/var/run/mtls' },
    listen: { type: 'string', default: '8443' },
  },
});

let handshakes = 0;
let failures = 0;
/** @type {Map<string, string>} name of a peer → serial number of its certificate */
const peers = new Map();

// A peer without a certificate that our roots vouch for gets no connection.
const server = createServer({ requestCert: true, rejectUnauthorized: true }, (request, response) => {
  // TLS has proved who the peer is. Whether it may do what it asks for is decided here.
  const peer = request.socket.getPeerX509Certificate();
  const name = nameOf(peer);
  if (peers.get(name) !== peer.serialNumber) {
    peers.set(name, peer.serialNumber);
    log('peer', { name, ...describe(peer) });
  }
  handshakes++;
  response.end(`hello ${name}\n`);
});
server.on('tlsClientError', (error, socket) => {
  failures++;
  log('failed', { error: String(socket.authorizationError ?? error.message) });
});

watchIdentity(values.certs, (options, certificate) => {
  server.setSecureContext(options); // for connections from now on
  log('loaded', describe(certificate));
});

const count = () => log('count', { handshakes, failures });
setInterval(count, 1_000).unref();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(count);
    server.closeIdleConnections();
  });
}

const colon = values.listen.lastIndexOf(':');
const host = colon < 0 ? undefined : values.listen.slice(0, colon);
server.listen(Number(values.listen.slice(colon + 1)), host, () => {
  const { address, port } = server.address();
  log('serving', { address: `${address}:${port}` });
});
