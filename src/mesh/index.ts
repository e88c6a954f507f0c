/** Where a connection goes in the cluster: Services, their endpoints and pods, as kube-proxy sees them. */
export { canonicalAddress, type Family, familyOf } from './address.ts';
export { type Destination, Destinations, type MeshNode } from './destinations.ts';
export { decodeEndpointSlice, type MeshEndpointSlice, type SliceEndpoint, type SlicePort } from './endpointSlice.ts';
export {
  type Candidate,
  candidatesOf,
  type EndpointAddress,
  type Place,
  selectEndpoints,
  type Variation,
  variationOf,
} from './selectEndpoints.ts';
export { decodeMeshService, type MeshService, type MeshServicePort, type ServiceType } from './service.ts';
