import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { isObject, type JsonObject, property } from './json.ts';
import type { External, Selection } from './kubeconfig.ts';

/**
 * Exec plugins and the older auth providers (OIDC), through client-node, which caches what they answer until it expires. This module alone
 * imports client-node; it is loaded when a kubeconfig needs it.
 */
export async function externalCredentials(): Promise<(selection: Selection) => Promise<External>> {
  let config: KubeConfig | undefined;
  return async (selection) => {
    config ??= build(selection);
    const options: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(options);
    } catch (error) {
      const what = isObject(selection.user['exec']) ? 'exec plugin' : 'auth provider';
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      throw new Error(`the ${what} of user "${selection.userName}" failed: ${why.slice(0, 300)}`, { cause: error });
    }
    return { authorization: authorizationOf(options), cert: text(options.cert), key: text(options.key) };
  };
}

function build(selection: Selection): KubeConfig {
  const config = new KubeConfig();
  // Only the user matters here; an http server would be refused without skipTLSVerify, and there is no TLS to verify in it.
  const cluster = { server: 'https://kubernetes.invalid', 'insecure-skip-tls-verify': true };
  config.loadFromString(
    JSON.stringify({
      clusters: [{ name: 'cluster', cluster }],
      users: [{ name: selection.userName, user: withExecInfo(selection) }],
      contexts: [{ name: 'context', context: { cluster: 'cluster', user: selection.userName } }],
      'current-context': 'context',
    }),
  );
  return config;
}

/** Plugins are promised KUBERNETES_EXEC_INFO (client-go's exec authenticator); client-node does not set it. */
function withExecInfo(selection: Selection): JsonObject {
  const { user } = selection;
  const exec = user['exec'];
  const kept = Object.fromEntries(
    ['exec', 'auth-provider'].flatMap((name) => (user[name] ? [[name, user[name]]] : [])),
  );
  if (!isObject(exec)) return kept;
  const info = {
    apiVersion: exec['apiVersion'],
    kind: 'ExecCredential',
    spec: { interactive: false, ...(exec['provideClusterInfo'] === true ? { cluster: clusterInfo(selection) } : {}) },
  };
  const env = Array.isArray(exec['env']) ? exec['env'] : [];
  return { ...kept, exec: { ...exec, env: [...env, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] } };
}

function clusterInfo({ cluster }: Selection): JsonObject {
  const names = ['server', 'tls-server-name', 'insecure-skip-tls-verify', 'certificate-authority-data', 'proxy-url'];
  return Object.fromEntries(names.flatMap((name) => (cluster[name] === undefined ? [] : [[name, cluster[name]]])));
}

function authorizationOf(options: RequestOptions): string | undefined {
  const value = property(options.headers, 'Authorization');
  return typeof value === 'string' ? value.trim() : undefined;
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
}
