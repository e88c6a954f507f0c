import { isIPv6 } from 'node:net';
import type { Connection } from './config.ts';
import { readTrimmed } from './credentialFiles.ts';
import { tokenFileSource } from './tokenFile.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

type Environment = Readonly<Record<string, string | undefined>>;

/** True in a pod: the kubelet sets the Service's address in every container. */
export function isInCluster(env: Environment): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST'] && env['KUBERNETES_SERVICE_PORT']);
}

/**
 * The API server as a pod sees it. The kubelet rotates the token (an hour by default), and the bundle follows when the cluster's CA is rotated.
 */
export async function inClusterSource(options: { env: Environment; directory?: string }): Promise<Connection> {
  const directory = options.directory ?? SERVICE_ACCOUNT;
  const host = options.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = options.env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (!/^[0-9]{1,5}$/.test(port)) throw new Error(`KUBERNETES_SERVICE_PORT is "${port}", expected a port number`);
  const namespace = await readTrimmed(`${directory}/namespace`).catch(() => undefined);
  return tokenFileSource({
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    tokenFile: `${directory}/token`,
    caFile: `${directory}/ca.crt`,
    namespace,
    source: 'service account of this pod',
  });
}
