import { type Clock, systemClock } from './clock.ts';
import { inClusterSource, isInCluster } from './inCluster.ts';
import { defaultKubeconfigPaths, kubeconfigSource } from './kubeconfig.ts';

/** What a TLS connection to the API server needs. Holds a private key: never log it. */
export interface TlsMaterial {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** Name to expect in the server's certificate and to send as SNI, where it differs from the URL's host (tls-server-name). */
  readonly servername?: string | undefined;
  /** insecure-skip-tls-verify: true means the server's certificate is not checked. */
  readonly insecure?: boolean | undefined;
}

export interface Credentials {
  /** Headers that authenticate a request (authorization, impersonate-*). Never log them. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly tls: TlsMaterial;
}

/** How to reach and convince one API server. */
export interface Connection {
  /** Base URL; a path in it is a prefix of every request. */
  readonly server: string;
  /** http, https or socks5 proxy in between. */
  readonly proxyUrl?: string | undefined;
  /** Namespace of the kubeconfig's context, or of the pod. */
  readonly namespace?: string | undefined;
  /** Where the settings came from, for a log line. */
  readonly source: string;
  /**
   * The credentials as they are now: files are read anew, expired exec credentials fetched anew. `fresh` drops whatever is cached, after the
   * server refused it. Rejects with an Error that says which file or command failed, without its content.
   */
  credentials(options?: { fresh?: boolean }): Promise<Credentials>;
}

export interface ConnectionOptions {
  /** Path of a kubeconfig. Left out: KUBECONFIG, else the pod's service account, else ~/.kube/config (controller-runtime's order). */
  kubeconfig?: string | undefined;
  /** Context in the kubeconfig; left out: its current-context. */
  context?: string | undefined;
  env?: Readonly<Record<string, string | undefined>>;
  clock?: Clock;
}

/** Finds out how to reach the API server. Rejects with what is missing and where it was looked for. */
export async function loadConnection(options: ConnectionOptions = {}): Promise<Connection> {
  const env = options.env ?? process.env;
  const clock = options.clock ?? systemClock;
  if (options.kubeconfig !== undefined && options.kubeconfig !== '') {
    return kubeconfigSource([options.kubeconfig], { context: options.context, env, clock });
  }
  const named = env['KUBECONFIG'];
  if (named) return kubeconfigSource(named.split(':').filter(Boolean), { context: options.context, env, clock });
  if (isInCluster(env)) return inClusterSource({ env });
  return kubeconfigSource(defaultKubeconfigPaths(env), { context: options.context, env, clock });
}
