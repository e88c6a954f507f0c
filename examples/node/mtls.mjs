// Keeps a program's certificate, key and roots as fresh as the Secret that is mounted into its pod.
import { constants, X509Certificate } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';

/**
 * Reads tls.crt, tls.key and ca.crt from the directory where the Secret is mounted, and looks once a second whether they have changed. (fs.watch
 * would lose sight of them: the kubelet replaces the whole directory.)
 * @param {string} directory
 * @param {(options: import('node:tls').SecureContextOptions, certificate: X509Certificate) => void} onLoad is called now and whenever another
 *   certificate has been read, with the options for `tls.createSecureContext` and `server.setSecureContext`.
 */
export function watchIdentity(directory, onLoad) {
  let known = '';
  const look = () => {
    const files = readFiles(directory);
    const text = files.join('\n');
    if (text === known) return;
    const [cert, key, ca] = files;
    const options = {
      cert,
      key,
      ca,
      minVersion: /** @type {const} */ ('TLSv1.3'),
      // A resumed session would carry on with a certificate that may have expired since.
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
    createSecureContext(options); // throws if they do not fit together, before anybody uses them
    known = text;
    onLoad(options, new X509Certificate(cert));
  };
  look();
  const timer = setInterval(() => {
    try {
      look();
    } catch {
      // Half of a change: what we have goes on, and the next look is in a second.
    }
  }, 1_000);
  timer.unref();
}

// The kubelet writes a new directory and then points the link ..data to it. Resolved once, so that all files are of one certificate.
function readFiles(directory) {
  let resolved = directory;
  try {
    resolved = realpathSync(join(directory, '..data'));
  } catch {
    // not a volume of Kubernetes
  }
  return ['tls.crt', 'tls.key', 'ca.crt'].map((name) => readFileSync(join(resolved, name), 'utf8'));
}

/**
 * Who a verified peer is: its SPIFFE ID, else its first DNS name, else its subject.
 * @param {X509Certificate} certificate
 */
export function nameOf(certificate) {
  const names = alternativeNames(certificate.subjectAltName ?? '');
  return (
    names.find(({ type }) => type === 'URI')?.value ??
    names.find(({ type }) => type === 'DNS')?.value ??
    certificate.subject
  );
}

/**
 * All URIs in a certificate; that of a workload has one, its SPIFFE ID.
 * @param {X509Certificate} certificate
 */
export function urisOf(certificate) {
  const names = alternativeNames(certificate.subjectAltName ?? '');
  return names.filter(({ type }) => type === 'URI').map(({ value }) => value);
}

// `DNS:web.shop.svc, URI:"…"`: a name with a comma in it is quoted, so splitting the text at commas would let a name pass for several.
function alternativeNames(text) {
  const pattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  const names = [];
  while (pattern.lastIndex < text.length) {
    const found = pattern.exec(text);
    if (found === null) return []; // something that we do not know: better no name than a wrong one
    const [, type, value] = found;
    names.push({ type, value: value.startsWith('"') ? JSON.parse(value) : value });
  }
  return names;
}

/** Writes one JSON line. */
export function log(msg, fields) {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), msg, ...fields })}\n`);
}

/** What the log says about a certificate. @param {X509Certificate} certificate */
export function describe(certificate) {
  return { serial: certificate.serialNumber, notAfter: new Date(certificate.validTo).toISOString() };
}
