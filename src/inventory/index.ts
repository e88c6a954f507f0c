/** What exists beside our own kinds, stripped to what is needed: pods and Services. */
export { InventoryController } from './controller.ts';
export { type MeshPod, probesOf, type Sidecar, type WorkloadName } from './meshPod.ts';
export { type DeclaredPort, decodePod, type PodRecord, type PodShape } from './pod.ts';
export { decodeService, type ServiceRecord } from './service.ts';
