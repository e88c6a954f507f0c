/** xDS: one stream as a state machine, its messages, and the server of all streams. */
export { type CallPeer, spiffeIdOf } from './peer.ts';
export { encodeResource } from './protocol.ts';
export type { ProxyClaim, ProxySource, ProxyStream } from './proxyStream.ts';
export { type Refusal, type ServedMethod, type ServerIdentity, serveXds, type XdsServer } from './server.ts';
export type { Resource } from './session.ts';
