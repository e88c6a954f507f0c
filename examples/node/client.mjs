// Makes a new connection to a server again and again, over mutual TLS with the files of a mounted Secret. Never has to be restarted for a new
// certificate. Writes JSON lines: whenever it has loaded a certificate, the server comes with a new one, or a connection fails. Ends with code 1 if
// any failed.
//
//   node client.mjs --certs /var/run/mtls --connect web.shop.svc:8443
import { get } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import { describe, log, nameOf, watchIdentity } from './mtls.mjs';

const { values } = parseArgs({
  options: {
    certs: { type: 'string', default: '/var/run/mtls' },
    connect: { type: 'string', default: 'web.shop.svc:8443' },
    'server-name': { type: 'string' }, // must stand in the server's certificate; default: the host
    every: { type: 'string', default: '100' }, // milliseconds between two connections
    times: { type: 'string', default: '0' }, // end after so many connections; 0: never
  },
});
const [host, port] = values.connect.split(':');
const servername = values['server-name'] ?? host;
const times = Number(values.times);

let secureContext;
watchIdentity(values.certs, (options, certificate) => {
  secureContext = createSecureContext(options);
  log('loaded', describe(certificate));
});

/** Makes one connection; resolves with the server's certificate. */
function greet() {
  return new Promise((resolve, reject) => {
    // `agent: false`: a connection, and so a handshake, for each request: that is what we are here to show.
    const options = {
      host,
      port,
      servername,
      secureContext,
      agent: false,
      timeout: 10_000,
      headers: { host: servername },
    };
    const request = get(options, (response) => {
      const peer = response.socket.getPeerX509Certificate();
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(peer);
        else reject(new Error(`the server answered ${response.statusCode}`));
      });
      response.resume();
    });
    request.once('timeout', () => request.destroy(new Error('the server does not answer')));
    request.once('error', reject);
  });
}

let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    stopped = true; // between two connections, so that none is broken off
  });
}

let handshakes = 0;
let failures = 0;
let serial = '';
let reported = Date.now();
const count = () => {
  log('count', { handshakes, failures });
  reported = Date.now();
};
for (let done = 0; !stopped && (times === 0 || done < times); done++) {
  try {
    const peer = await greet();
    handshakes++;
    if (peer.serialNumber !== serial) {
      serial = peer.serialNumber;
      log('peer', { name: nameOf(peer), ...describe(peer) });
    }
  } catch (error) {
    failures++;
    log('failed', { error: error.message });
  }
  if (Date.now() - reported >= 1_000) count();
  await pause(Number(values.every));
}
count();
process.exitCode = failures > 0 ? 1 : 0;
