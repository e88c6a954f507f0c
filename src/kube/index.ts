/** The runtime: how an operator in TypeScript speaks with a Kubernetes API server for years. Knows nothing of this operator's kinds. */
export { type Clock, type Random, sleep, systemClock } from './clock.ts';
export { watchForJumps } from './clockJumps.ts';
export {
  type Connection,
  type ConnectionOptions,
  type Credentials,
  loadConnection,
  type TlsMaterial,
} from './config.ts';
export {
  type Controller,
  type ControllerOptions,
  createController,
  LeadershipLostError,
  type ReconcileResult,
  TerminalError,
} from './controller.ts';
export { DueHeap, DueTimes, type DueTimesOptions } from './due.ts';
export {
  ApiError,
  isAlreadyExists,
  isConflict,
  isNotFound,
  isStatus,
  type StatusCause,
  TransportError,
  type TransportFault,
} from './errors.ts';
export {
  createEventRecorder,
  type EventInput,
  type EventRecorder,
  type EventRecorderOptions,
  type ObjectReference,
} from './events.ts';
export { FakeClock } from './fakeClock.ts';
export { type HealthOptions, type HealthServer, type Readiness, serveHealth } from './health.ts';
export { isObject, type JsonObject, numberAt, ownString, property, stringAt } from './json.ts';
export { type LeaderElectionOptions, runLeaderElection } from './leader.ts';
export { microTime } from './lease.ts';
export { type Log, messageOf, silentLog } from './log.ts';
export { mergePatch } from './mergePatch.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { OwnChanges } from './ownChanges.ts';
export { patchStatus } from './patchStatus.ts';
export { PortForwardError, portForward } from './portForward.ts';
export { proxyFor } from './proxySettings.ts';
export { WorkQueue, type WorkQueueOptions } from './queue.ts';
export { collectGarbage, Quiet } from './quiet.ts';
export { asRecord, asString, isRecord, stringMap } from './read.ts';
export { createReflector, type Decoded, type Reflector, type ReflectorOptions } from './reflector.ts';
export {
  compareResourceVersions,
  type Identity,
  identify,
  keyOf,
  type Resource,
  resourcePath,
  SECRETS,
  splitKey,
} from './resource.ts';
export { withSignals } from './shutdown.ts';
export { type Change, Store, type StoreWriter, type Versioned } from './store.ts';
export { TokenBucket } from './tokenBucket.ts';
export { type TokenFileOptions, tokenFileSource } from './tokenFile.ts';
export {
  type ApiRequest,
  createTransport,
  type Transport,
  type TransportOptions,
  type UpgradingTransport,
  type WatchRequest,
} from './transport.ts';
