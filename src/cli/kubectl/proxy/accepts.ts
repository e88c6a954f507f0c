/** What a listener takes at a port, by the filter chains that Envoy has: read as Envoy matches them, not as they were meant. Pure. */
import * as z from 'zod';
import type { Mode } from '../../../api/index.ts';
import { clusterNames, proxyPorts, serverFirstName } from '../../../envoy/index.ts';

export const accepted = ['MutualTLS', 'MutualTLSAndPlaintext', 'Plaintext', 'Nothing'] as const;
export type Accepted = (typeof accepted)[number];

/** Another criterion would be one that nobody here understands: then nothing is said of the listener. */
const matchSchema = z.strictObject({
  destination_port: z.int().optional(),
  transport_protocol: z.string().optional(),
  application_protocols: z.array(z.string()).optional(),
  server_names: z.array(z.string()).optional(),
});

export const chainSchema = z.object({
  filter_chain_match: matchSchema.default({}),
  transport_socket: z
    .object({ typed_config: z.object({ '@type': z.string(), require_client_certificate: z.boolean().default(false) }) })
    .optional(),
  filters: z.array(z.object({ typed_config: z.object({ cluster: z.string().optional() }).default({}) })).default([]),
});
export type Chain = z.output<typeof chainSchema>;

/** A chain with the port goes before all without one, whatever else these ask for. @param port null: one that no chain names */
export function acceptedAt(chains: readonly Chain[], port: number | null): Accepted {
  const at = (wanted: number | undefined) =>
    chains.filter(({ filter_chain_match: { destination_port } }) => destination_port === wanted);
  const own = port === null ? [] : at(port);
  // Servers that speak first: by mutual TLS at a port of the proxy's, with the name of theirs.
  const elsewhere =
    port === null
      ? []
      : at(proxyPorts.serverFirst).filter(({ filter_chain_match: { server_names } }) =>
          server_names?.includes(serverFirstName(port)),
        );
  const open = [...(own.length === 0 ? at(undefined) : own), ...elsewhere].filter((chain) => !isClosed(chain));
  const mutual = open.some(isMutual);
  const plain = open.some(({ transport_socket }) => transport_socket === undefined);
  if (mutual) return plain ? 'MutualTLSAndPlaintext' : 'MutualTLS';
  return plain ? 'Plaintext' : 'Nothing';
}

/** What servers in that mode take: Disabled is for those who dial. */
export function acceptedIn(mode: Mode): Accepted {
  return mode === 'Strict' ? 'MutualTLS' : 'MutualTLSAndPlaintext';
}

function isMutual({ transport_socket }: Chain): boolean {
  const config = transport_socket?.typed_config;
  return config?.['@type'].endsWith('.DownstreamTlsContext') === true && config.require_client_certificate;
}

function isClosed({ filters }: Chain): boolean {
  return filters.every(({ typed_config: { cluster } }) => cluster === clusterNames.blackhole);
}
