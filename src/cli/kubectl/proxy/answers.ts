/** What a proxy answers about itself, as Envoy's admin interface prints it. Pure; the bytes may come from anybody who has taken the proxy's place in the pod. */
import * as z from 'zod';
import { type ParsedCertificate, PkiError, parseCertificates } from '../../../pki/index.ts';
import { type Chain, chainSchema } from './accepts.ts';

/** It is no answer of a proxy that this plugin knows. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

/** The listener of what comes to the pod. */
export interface LoadedInbound {
  /** What is at work; undefined: nothing, so that nobody is let in. */
  readonly active:
    | { readonly version: string; readonly since: string | undefined; readonly chains: readonly Chain[] }
    | undefined;
  /** Version of what waits to take its place, as it does for a certificate. */
  readonly waiting: string | undefined;
  /** Why what came last was refused, in Envoy's words: this listener, or another one that never was at work. */
  readonly refused: string | undefined;
}

export interface LoadedIdentity {
  /** What the proxy shows, the leaf first; undefined: it has none. */
  readonly chain: readonly ParsedCertificate[] | undefined;
  /** undefined: it has none, and trusts nobody. */
  readonly roots: readonly ParsedCertificate[] | undefined;
}

const dump = <T extends z.ZodType>(entry: T) => z.object({ configs: z.array(entry).default([]) });

const listeners = dump(
  z.object({
    // None where the listener was refused when it first came.
    name: z.string().optional(),
    active_state: z
      .object({
        version_info: z.string().default(''),
        last_updated: z.iso.datetime().optional(),
        listener: z.object({ filter_chains: z.array(chainSchema).default([]) }),
      })
      .optional(),
    warming_state: z.object({ version_info: z.string().default('') }).optional(),
    error_state: z.object({ details: z.string().default('') }).optional(),
  }),
);

/** @throws AnswerError */
export function parseInbound(text: string): LoadedInbound {
  const { configs } = parse(listeners, text);
  const found = configs.find(({ name }) => name === 'inbound');
  const nameless = configs.find(({ error_state: error, name }) => name === undefined && error !== undefined);
  const active = found?.active_state;
  return {
    active: active && {
      version: active.version_info,
      since: active.last_updated,
      chains: active.listener.filter_chains,
    },
    waiting: found?.warming_state?.version_info,
    refused: (found?.error_state ?? nameless?.error_state)?.details,
  };
}

const pem = z.object({ inline_bytes: z.base64().optional(), inline_string: z.string().optional() });
const secrets = dump(
  z.object({
    name: z.string(),
    secret: z
      .object({
        tls_certificate: z.object({ certificate_chain: pem.optional() }).optional(),
        validation_context: z.object({ trusted_ca: pem.optional() }).optional(),
      })
      .default({}),
  }),
);

/** @throws AnswerError */
export function parseIdentity(text: string): LoadedIdentity {
  const { configs } = parse(secrets, text);
  const of = (wanted: string) => configs.find(({ name }) => name === wanted)?.secret;
  return {
    chain: certificatesIn(of('workload')?.tls_certificate?.certificate_chain, 'its certificate'),
    roots: certificatesIn(of('roots')?.validation_context?.trusted_ca, 'its roots'),
  };
}

function certificatesIn(
  source: z.output<typeof pem> | undefined,
  what: string,
): readonly ParsedCertificate[] | undefined {
  const { inline_bytes: bytes, inline_string: string } = source ?? {};
  const text = string ?? (bytes === undefined ? undefined : Buffer.from(bytes, 'base64'));
  if (text === undefined) return undefined;
  try {
    return parseCertificates(text);
  } catch (error) {
    if (error instanceof PkiError) throw new AnswerError(`${what}: ${error.message}`);
    throw error;
  }
}

function parse<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AnswerError('it is no JSON');
  }
  const found = schema.safeParse(value);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  throw new AnswerError(`${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'unknown'}`);
}
