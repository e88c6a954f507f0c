/** Mutual TLS in Envoy's words: key and roots from the mounted Secret, and who the peer has to be. */
import { extension, type Message } from './message.ts';
import { MESH_ALPN, proxyPaths } from './names.ts';

/** Who a peer has to be, by the one URI in its certificate. */
export type PeerMatch = { readonly exact: string } | { readonly prefix: string };

/** Everybody of a trust domain. With the slash: `spiffe://cluster.local` is a prefix of `spiffe://cluster.local.example`, too. */
export function anyoneIn(trustDomain: string): PeerMatch {
  return { prefix: `spiffe://${trustDomain}/` };
}

/** Nobody: an identity that is never issued. For what must not be spoken to by accident. */
export function nobodyIn(trustDomain: string): PeerMatch {
  return { exact: `spiffe://${trustDomain}/nobody` };
}

/**
 * A file of SDS in the mounted Secret. kubelet replaces `..data` in the mount: that is what is watched, since an Envoy that watches the file itself sees nothing.
 */
function secretFile(name: 'workload' | 'roots'): Message {
  const directory = proxyPaths.identity;
  return {
    name,
    sds_config: {
      path_config_source: { path: `${directory}/sds-${name}.json`, watched_directory: { path: directory } },
      resource_api_version: 'V3',
    },
  };
}

function commonContext(peer: PeerMatch): Message {
  return {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificate_sds_secret_configs: [secretFile('workload')],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { ...peer } }] },
      validation_context_sds_secret_config: secretFile('roots'),
    },
  };
}

const TLS = 'envoy.transport_sockets.tls';

/** Of a server: a client has to show a certificate of ours. */
export function serverTls(peer: PeerMatch): Message {
  return extension(TLS, 'extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: commonContext(peer),
  });
}

export interface ClientTls {
  readonly peer: PeerMatch;
  readonly serverName: string;
  /** Default: the marker of the mesh. */
  readonly alpn?: string;
}

/** Of a client: the server has to be exactly who is expected. */
export function clientTls({ peer, serverName, alpn = MESH_ALPN }: ClientTls): Message {
  return extension(TLS, 'extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: serverName,
    common_tls_context: { ...commonContext(peer), alpn_protocols: [alpn] },
  });
}

export const plaintextSocket: Message = extension(
  'envoy.transport_sockets.raw_buffer',
  'extensions.transport_sockets.raw_buffer.v3.RawBuffer',
);
