/** What exists beside our own kinds, stripped to what is needed: pods that use our Secrets. */
export { InventoryController } from './controller.ts';
export { decodePod, type PodRecord } from './pod.ts';
