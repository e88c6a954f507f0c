import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import type { Connection, Credentials, TlsMaterial } from './config.ts';
import { readTrimmed, tokenHeader } from './credentialFiles.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

type Environment = Readonly<Record<string, string | undefined>>;

/** True in a pod: the kubelet sets the Service's address in every container. */
export function isInCluster(env: Environment): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST'] && env['KUBERNETES_SERVICE_PORT']);
}

/**
 * The API server as a pod sees it. Token and CA bundle are read anew at each call: the kubelet rotates the token (an hour by default), and the
 * bundle follows when the cluster's CA is rotated.
 */
export async function inClusterSource(options: { env: Environment; directory?: string }): Promise<Connection> {
  const directory = options.directory ?? SERVICE_ACCOUNT;
  const host = options.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = options.env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (!/^[0-9]{1,5}$/.test(port)) throw new Error(`KUBERNETES_SERVICE_PORT is "${port}", expected a port number`);
  const namespace = await readTrimmed(`${directory}/namespace`).catch(() => undefined);
  let last: Credentials | undefined;
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    source: 'service account of this pod',
    namespace,
    async credentials() {
      const [token, ca] = await Promise.all([
        readTrimmed(`${directory}/token`),
        readFile(`${directory}/ca.crt`, 'utf8'),
      ]);
      // The same object as long as nothing changed: the transport opens new connections when it is another.
      const tls: TlsMaterial = last?.tls.ca === ca ? last.tls : { ca };
      last = { headers: tokenHeader(token, `${directory}/token`), tls };
      return last;
    },
  };
}
