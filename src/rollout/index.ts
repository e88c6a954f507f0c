/** The record of how far each port is switched, kept by the leader, from which every replica of proxy-api configures proxies. */
export type { Acknowledgements, Refusal } from './acknowledgements.ts';
export { RolloutController, type RolloutControllerOptions } from './controller.ts';
export { decodeRollout, type RolloutRecord, rolloutKey } from './record.ts';
export { beginning, type ClientMode } from './step.ts';
