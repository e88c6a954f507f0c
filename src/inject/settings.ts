import type { MeshScope } from './asked.ts';
import type { ProxyResources } from './proxyResources.ts';

/** What an installation says about sidecars. */
export interface InjectionSettings extends MeshScope {
  /** Image of Envoy. */
  readonly proxyImage: string;
  /** Image with nft, ip and a shell. */
  readonly initImage: string;
  readonly proxyApi: {
    readonly host: string;
    /** Of its Service, as it is now; undefined: it is not known. For pods that do not ask the DNS of the cluster: it changes where the Service is made anew. */
    readonly address?: string | undefined;
    readonly port: number;
    readonly spiffeId: string;
  };
  /** How long connections of a chain that is gone go on, in seconds. */
  readonly drainSeconds: number;
  readonly resources: ProxyResources;
}
