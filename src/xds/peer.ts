/** Who is at the other end of a call. */
import type { ServerSurfaceCall } from '@grpc/grpc-js/build/src/server-call.js';
import { parseCertificate } from '../pki/index.ts';

export type CallPeer = Pick<ServerSurfaceCall, 'getPeer' | 'getAuthContext'>;

/** Of IPv4 in its own form: a server for both says `::ffff:192.0.2.1`. */
export function addressOf(call: CallPeer): string {
  const peer = call.getPeer();
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^::ffff:(?=\d+\.)/, '');
}

/**
 * The SPIFFE ID in the peer's certificate, which the handshake has verified; undefined where it has none, or more URIs than that. By our own reader: names in node's text of a certificate
 * can be made to look like others.
 */
export function spiffeIdOf(call: CallPeer): string | undefined {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  if (raw === undefined) return undefined;
  const { uris } = parseCertificate(raw);
  const [uri] = uris;
  return uris.length === 1 && uri?.startsWith('spiffe://') ? uri : undefined;
}
