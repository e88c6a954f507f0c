import type { MeshScope } from './asked.ts';
import type { ProxyResources } from './proxyResources.ts';

/** What an installation says about sidecars. */
export interface InjectionSettings extends MeshScope {
  /** Image of Envoy. */
  readonly proxyImage: string;
  /** Image with nft, ip and a shell. */
  readonly initImage: string;
  readonly proxyApi: { readonly host: string; readonly port: number; readonly spiffeId: string };
  /** How long connections of a chain that is gone go on, in seconds. */
  readonly drainSeconds: number;
  readonly resources: ProxyResources;
}
