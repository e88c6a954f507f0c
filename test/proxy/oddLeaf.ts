/** Certificates of servers with names such as the operator never issues: by OpenSSL, since our own code refuses to write them. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../support/command.ts';
import { type CorporateCa, issueIdentity } from './identities.ts';

/**
 * @param names the subject alternative names, as in `URI:spiffe://a/b,DNS:"with, comma"`
 * @param directory for OpenSSL's files, in one of their own
 */
export async function leafWith(
  names: string,
  ca: CorporateCa,
  directory: string,
): Promise<{ key: string; cert: string }> {
  const { keyPem: key } = await issueIdentity({ ca, account: 'web' });
  const own = mkdtempSync(join(directory, 'leaf-'));
  const file = (name: string, text: string): string => {
    const path = join(own, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const entries = [...names.matchAll(/(DNS|URI):("[^"]*"|[^,]*)/g)];
  const lines = entries.map(([, kind, value], index) => `${kind}.${index} = ${value}`);
  const text = `extendedKeyUsage = serverAuth\nsubjectAltName = @names\n[names]\n${lines.join('\n')}\n`;
  const issuer = ['-CA', file('ca.crt', ca.files['tls.crt']), '-CAkey', file('ca.key', ca.files['tls.key'])];
  const request = join(own, 'request');
  await run('openssl', ['req', '-new', '-key', file('tls.key', key), '-subj', '/CN=web', '-out', request]);
  const { stdout } = await run('openssl', [
    ...['x509', '-req', '-in', request, '-days', '1', ...issuer, '-CAcreateserial'],
    ...['-CAserial', join(own, 'serial'), '-extfile', file('extensions', text)],
  ]);
  return { key, cert: stdout + ca.files['tls.crt'] };
}
