/**
 * Whose Secret is it? Several WorkloadCertificates may ask for one Secret, and the Secret may belong to somebody else
 * altogether. Pure; never resolved by overwriting what is not ours.
 */
import type { Refusal } from './reasons.ts';
import type { SecretRecord } from './secretRecord.ts';

export const TLS_SECRET_TYPE = 'kubernetes.io/tls';

/** A WorkloadCertificate of this namespace that asks for the Secret. */
export interface Claimant {
  readonly name: string;
  readonly uid: string;
  /** creationTimestamp, ms. */
  readonly created: number;
}

/** Where the Secret is. */
export interface Place {
  readonly namespace: string;
  readonly secretName: string;
}

/**
 * Whether `claimant` may write the Secret. The holder named in the Secret's annotation keeps it while it still asks for it; else
 * the oldest claimant, then the smallest UID. A Secret without our annotation is somebody else's, unless its owner hands it over with the
 * annotation `mtls-operator.io/adopt`.
 *
 * @returns undefined where it may, or the refusal that goes into its status.
 */
export function judgeOwnership(
  { namespace, secretName }: Place,
  secret: SecretRecord | undefined,
  claimant: Claimant,
  rivals: readonly Claimant[],
): Refusal | undefined {
  if (secret !== undefined) {
    const foreign = judgeForeign({ namespace, secretName }, secret, claimant);
    if (foreign !== undefined) return foreign;
    if (secret.holder === claimant.name) return undefined;
    const holder = rivals.find((rival) => rival.name === secret.holder);
    if (holder !== undefined) return heldBy(secretName, holder.name);
    if (secret.adopt === claimant.name) return undefined;
  }
  const first = rivals.reduce(elder, claimant);
  return first === claimant ? undefined : heldBy(secretName, first.name);
}

function judgeForeign({ namespace, secretName }: Place, secret: SecretRecord, claimant: Claimant): Refusal | undefined {
  if (secret.type !== TLS_SECRET_TYPE) {
    return {
      reason: 'SecretTypeConflict',
      message:
        `Secret "${secretName}" exists with type ${JSON.stringify(secret.type)}, and a Secret’s type cannot be changed: ` +
        `delete that Secret if nobody needs it, or choose another spec.secretName`,
    };
  }
  if (secret.holder === undefined && secret.adopt !== claimant.name) {
    // Handed over it still could not be written.
    const wayOut = secret.immutable
      ? 'delete that one if nobody needs it (it is marked immutable, so it cannot be handed over)'
      : `hand it over with "kubectl annotate secret ${secretName} -n ${namespace} mtls-operator.io/adopt=${claimant.name}", ` +
        `which replaces its contents within a minute`;
    return {
      reason: 'SecretConflict',
      message: `Secret "${secretName}" exists and was not made by mtls-operator: choose another spec.secretName, or ${wayOut}`,
    };
  }
  if (secret.immutable) {
    return {
      reason: 'SecretImmutable',
      message:
        `Secret "${secretName}" is marked immutable and cannot be renewed: delete it, so that it is made anew, ` +
        `or choose another spec.secretName`,
    };
  }
  return undefined;
}

function heldBy(secretName: string, holder: string): Refusal {
  return {
    reason: 'SecretConflict',
    message:
      `Secret "${secretName}" belongs to the WorkloadCertificate "${holder}" of this namespace: ` +
      `choose another spec.secretName for one of the two`,
  };
}

function elder(a: Claimant, b: Claimant): Claimant {
  if (a.created !== b.created) return a.created < b.created ? a : b;
  return a.uid <= b.uid ? a : b;
}
