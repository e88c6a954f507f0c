import type { ProxyResources } from './annotations.ts';

/** What an installation says about sidecars. */
export interface InjectionSettings {
  /** Where the operator is: never injected, since what brings sidecars must start without one. */
  readonly operatorNamespace: string;
  /** Every namespace is in the mesh unless it says otherwise; else none is unless it says so. */
  readonly everyNamespace: boolean;
  /** Image of Envoy. */
  readonly proxyImage: string;
  /** Image with nft, ip and a shell. */
  readonly initImage: string;
  readonly proxyApi: { readonly host: string; readonly port: number; readonly spiffeId: string };
  /** How long connections of a chain that is gone go on, in seconds. */
  readonly drainSeconds: number;
  readonly resources: ProxyResources;
}
