/** By what a proxy is judged: what it answers itself, and what the API server says of it, or the permission that is missing for it. */
import type { CertificateStatus } from '../certificateStatus.ts';
import type { Reading } from '../reader.ts';
import type { RolloutRecord } from '../rolloutRecord.ts';
import type { LoadedIdentity, LoadedInbound } from './answers.ts';
import type { AskedSidecar } from './sidecar.ts';

/** What it answered, or in one line why nothing is known of it. */
export type Asked =
  | { readonly inbound: LoadedInbound; readonly identity: LoadedIdentity }
  | { readonly unread: string };

export interface ProxyFacts {
  readonly sidecar: AskedSidecar;
  readonly asked: Asked;
  readonly rollout: Reading<RolloutRecord | undefined>;
  /** That of the sidecar. */
  readonly certificate: Reading<CertificateStatus | undefined>;
  /** The CertificateAuthority `default`, as the API server has it. */
  readonly authority: Reading<unknown>;
  readonly now: number;
}
