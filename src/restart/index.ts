/** Workloads that cannot read a new certificate by themselves are restarted after a renewal. */
export { RestartController } from './controller.ts';
export type { RestartReason } from './reasons.ts';
