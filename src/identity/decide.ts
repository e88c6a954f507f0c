/** What to do about a certificate that the mesh wants, or wanted: pure. */
import { isDeepStrictEqual } from 'node:util';
import type { WorkloadCertificateSpec } from '../api/index.ts';
import type { WantedCertificate } from './wanted.ts';

/** The WorkloadCertificate that has the name. */
export interface Existing {
  /** By its label: the operator made it by itself, and nobody has taken it over. */
  readonly managed: boolean;
  readonly deleting: boolean;
  /** undefined where it cannot be read. */
  readonly spec: WorkloadCertificateSpec | undefined;
}

export type Use =
  /** A pod needs it, or it is wanted whatever pods there are. */
  | { readonly state: 'used' }
  /** By none of the pods, all of which are known, and for so long (ms) as this leader has seen. */
  | { readonly state: 'unused'; readonly milliseconds: number }
  /** Not all pods are known: one of the others may need it. */
  | { readonly state: 'unknown' };

export type Decision =
  | { readonly action: 'nothing' }
  | { readonly action: 'create' }
  /** Ours, in use, and edited. */
  | { readonly action: 'correct' }
  | { readonly action: 'reap' }
  /** Ours and unused: to be looked at again after so long (ms). */
  | { readonly action: 'wait'; readonly milliseconds: number }
  /** Somebody else's, by which sidecars cannot go. */
  | { readonly action: 'complain'; readonly problem: string };

const NOTHING: Decision = { action: 'nothing' };

/**
 * An object with our label is ours: it is put right as long as it is in use, since with an edited identity its pods would be cut off, and left alone once it
 * is not, since then somebody may have other plans with it. One without the label is never written.
 * @param wanted as we would write it.
 * @param retention how long (ms) one is kept that nobody uses.
 */
export function decide(
  wanted: WantedCertificate,
  existing: Existing | undefined,
  use: Use,
  retention: number,
): Decision {
  if (existing === undefined) return use.state === 'used' ? { action: 'create' } : NOTHING;
  // Its end will be told.
  if (existing.deleting || use.state === 'unknown') return NOTHING;
  const asWritten = existing.spec !== undefined && isDeepStrictEqual(existing.spec, wanted.spec);
  if (use.state === 'used') {
    if (existing.managed) return asWritten ? NOTHING : { action: 'correct' };
    const problem = unfit(existing.spec, wanted.spec);
    return problem === undefined ? NOTHING : { action: 'complain', problem };
  }
  if (!existing.managed || !asWritten) return NOTHING;
  const left = retention - use.milliseconds;
  return left > 0 ? { action: 'wait', milliseconds: left } : { action: 'reap' };
}

/** Why somebody's own certificate does not do what ours would; undefined: it does, whatever else they ask for in it. */
function unfit(spec: WorkloadCertificateSpec | undefined, wanted: WorkloadCertificateSpec): string | undefined {
  if (spec === undefined) return 'its spec cannot be read';
  const differing = (['secretName', 'serviceAccountName'] as const).find((field) => spec[field] !== wanted[field]);
  if (differing !== undefined) return `its ${differing} is not ${JSON.stringify(wanted[differing])}`;
  const authority = wanted.authorityRef.name;
  if (spec.authorityRef.name !== authority) return `its authorityRef.name is not ${JSON.stringify(authority)}`;
  const outputs = new Set(spec.outputs?.map(({ type }) => type));
  const output = wanted.outputs?.find(({ type }) => !outputs.has(type));
  if (output !== undefined) return `its outputs lack ${output.type}`;
  const name = wanted.dnsNames?.find((wantedName) => spec.dnsNames?.includes(wantedName) !== true);
  return name === undefined ? undefined : `its dnsNames lack ${JSON.stringify(name)}`;
}
