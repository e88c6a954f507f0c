/** What proxies, the operator and the pods around them have to agree on. All of it is on the wire or in pods that run: a change meets the old ones. */

/** Ports of the proxy itself, in the pod's network. */
export const proxyPorts = {
  /** Where what leaves the pod is redirected to. */
  outbound: 15_001,
  /** Where what comes to the pod is redirected to. */
  inbound: 15_006,
  /** Mutual TLS for ports whose servers speak first: a NetworkPolicy has to admit it. */
  serverFirst: 15_008,
  /** Tells what the proxy has loaded, on its loopback address alone. */
  inspection: 15_020,
  /** Answers probes; never redirected. */
  probes: 15_021,
} as const;

const reserved: ReadonlySet<number> = new Set(Object.values(proxyPorts));

export function isReservedPort(port: number): boolean {
  return reserved.has(port);
}

/**
 * The protocol (ALPN) that mesh clients offer in their ClientHello, by which a server tells mutual TLS of the mesh from the TLS of the application behind it. Nobody has
 * to select it.
 */
export const MESH_ALPN = 'mtls-operator';

/** SNI of mesh clients: no name of the destination is told in the clear. */
export const MESH_SERVER_NAME = 'mesh';

/** SNI by which a server-first port is asked for, on the port that serves all of them. */
export function serverFirstName(port: number): string {
  return `${port}.mesh`;
}

/** Address from which the proxy opens connections to its own application, so that they are not redirected to it again. */
export const loopbackSources = { ipv4: '127.0.0.6', ipv6: '::6' } as const;

/**
 * The same for what it asks on behalf of kubelet. Apart, as kubelet is apart from clients: MySQL takes a connect that says nothing for a failure, and after a hundred of them from one address
 * lets nobody in who comes from there.
 */
export const probeSources = { ipv4: '127.0.0.7', ipv6: '::7' } as const;

/** Files in the proxy's container. */
export const proxyPaths = {
  /** The mounted Secret of the workload's certificate, with the output EnvoySDS. */
  identity: '/var/run/mtls-operator/identity',
  /** Envoy's admin interface, for whoever may enter the container. */
  admin: '/var/run/mtls-operator/proxy/admin.sock',
} as const;

export const clusterNames = {
  /** The application, by mutual TLS. */
  application: 'inbound',
  /** The application, by plaintext or TLS of its own: apart, since its gauge of open connections says who would be cut off. */
  plaintext: 'inbound-plaintext',
  /** Closes what comes to it. */
  blackhole: 'blackhole',
  /** What is not for the mesh, to where it was going. */
  passthrough: 'passthrough',
  proxyApi: 'proxy-api',
  /** The proxy's own admin interface. */
  admin: 'admin',
} as const;

/** Cluster of a server-first port. */
export function serverFirstCluster(port: number): string {
  return `${clusterNames.application}-${port}`;
}
