/** Envoy's configuration for one proxy: pure rendering, no Kubernetes, no gRPC. */
export { type Bootstrap, bootstrap } from './bootstrap.ts';
export { type Inbound, type InboundPort, inboundClusters, inboundListener } from './inbound.ts';
export { inspectionPaths } from './inspection.ts';
export { type Json, type Message, type Resource, type TypedMessage, types } from './message.ts';
export {
  clusterNames,
  isReservedPort,
  loopbackSources,
  MESH_ALPN,
  MESH_SERVER_NAME,
  probeSources,
  proxyPaths,
  proxyPorts,
  serverFirstName,
} from './names.ts';
export {
  type AddressRange,
  destinationName,
  type Endpoint,
  type Outbound,
  outboundClusters,
  outboundListener,
  type Peer,
  parseDestinationName,
  passThroughCluster,
  podCluster,
  refusedCluster,
  serviceCluster,
  serviceEndpoints,
} from './outbound.ts';
export { type ProbeRoute, type Probes, probeClusters, probeListener, READY_PATH } from './probes.ts';
