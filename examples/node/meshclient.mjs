// Has no sidecar and asks a pod that has one, over mutual TLS with the files of a mounted Secret. Writes JSON lines: whenever it has loaded a certificate, is
// answered, or a request fails. Ends with code 1 if any failed.
//
//   node meshclient.mjs --certs /var/run/mtls --connect web.shop.svc:8080 --server spiffe://cluster.local/ns/shop/sa/web
import { X509Certificate } from 'node:crypto';
import { get } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import { describe, log, urisOf, watchIdentity } from './mtls.mjs';

const { values } = parseArgs({
  options: {
    certs: { type: 'string', default: '/var/run/mtls' },
    connect: { type: 'string', default: 'web.shop.svc:8080' },
    server: { type: 'string', default: 'spiffe://cluster.local/ns/shop/sa/web' }, // who the server has to be
    path: { type: 'string', default: '/' },
    unmarked: { type: 'boolean', default: false }, // leave out the marker, as clients do that know nothing of the mesh
    every: { type: 'string', default: '100' }, // milliseconds between two requests
    times: { type: 'string', default: '1' }, // end after so many requests; 0: never
  },
});
const { server } = values;
const colon = values.connect.lastIndexOf(':');
const times = Number(values.times);

let secureContext;
watchIdentity(values.certs, (options, certificate) => {
  secureContext = createSecureContext(options);
  log('loaded', describe(certificate));
});

/** What makes a connection one of the mesh, for `https.get` and `tls.connect`. */
const meshOptions = {
  // By this marker a sidecar tells the mesh's mutual TLS from TLS of the application behind it. It selects no protocol.
  ALPNProtocols: ['mtls-operator'],
  // SNI goes over the wire in the clear: it is the same for all servers, and no name to verify any by.
  servername: 'mesh',
  // In place of a DNS name, of which certificates of sidecars have none, once the roots have vouched for the server.
  checkServerIdentity(_, { raw }) {
    const uris = urisOf(new X509Certificate(raw));
    if (uris.length === 1 && uris[0] === server) return undefined;
    return new Error(`the certificate of the server is for ${uris}, not for ${server}`);
  },
  // No session of an earlier connection: with one, Node verifies nobody's identity, and under this SNI it may be another server's.
  agent: false,
};

function ask() {
  const { ALPNProtocols, ...unmarked } = meshOptions;
  const options = {
    ...(values.unmarked ? unmarked : meshOptions),
    host: values.connect.slice(0, colon),
    port: values.connect.slice(colon + 1),
    path: values.path,
    secureContext,
    timeout: 10_000,
  };
  return new Promise((resolve, reject) => {
    const request = get(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => {
        body += text;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode, body }));
    });
    request.once('timeout', () => request.destroy(new Error('the server does not answer')));
    request.once('error', reject);
  });
}

for (let done = 0; times === 0 || done < times; done++) {
  if (done > 0) await pause(Number(values.every));
  try {
    log('answer', await ask());
  } catch (error) {
    process.exitCode = 1;
    log('failed', { error: error.message });
  }
}
