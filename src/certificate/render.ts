/** The whole Secret, as it is written in one call: pure. What others have put into it stays. */
import {
  API_VERSION,
  annotations,
  FIELD_MANAGER,
  GENERATED_PASSWORD_KEY,
  labels,
  purposes,
  type WorkloadCertificateSpec,
  workloadCertificateKind,
} from '../api/index.ts';
import { wantsGeneratedPassword } from './keystoreFiles.ts';
import { type Files, plainOutput } from './outputs.ts';
import {
  baseKeys,
  isOwnerOfOurs,
  metadataDigest,
  ownDataKeys,
  type RawSecret,
  templateKeysOf,
} from './secretRecord.ts';

export interface Owner {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Material extends Files {
  /** Keystores and, where it was generated, their password: keys and values (base64) of `data`. */
  readonly keystores?: Readonly<Record<string, string>> | undefined;
}

export interface Bookkeeping {
  readonly revision: number;
  readonly renewedAt: string | undefined;
}

/** Labels and annotations that the Secret must carry, whatever its certificate. */
export function desiredMetadata(spec: WorkloadCertificateSpec, owner: Owner) {
  const template = spec.secretTemplate ?? {};
  const templateKeys = {
    labels: Object.keys(template.labels ?? {}).sort(),
    annotations: Object.keys(template.annotations ?? {}).sort(),
  };
  return {
    labels: { ...template.labels, [labels.purpose]: purposes.workloadCertificate },
    annotations: {
      ...template.annotations,
      [annotations.certificate]: owner.name,
      [annotations.authority]: spec.authorityRef.name,
      [annotations.template]: JSON.stringify(templateKeys),
    },
  };
}

export function desiredMetadataDigest(spec: WorkloadCertificateSpec, owner: Owner): string {
  const desired = desiredMetadata(spec, owner);
  return metadataDigest(desired.labels, desired.annotations);
}

/** What `inspectOutputs` finds in a Secret that is as the spec asks. */
export function desiredOutputs({ outputs = [] }: WorkloadCertificateSpec): string {
  const found: string[] = outputs.map(({ type }) => type).sort();
  if (wantsGeneratedPassword(outputs)) found.push(GENERATED_PASSWORD_KEY);
  return found.join(',');
}

export interface RenderedSecret {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly type: 'kubernetes.io/tls';
  /** base64 */
  readonly data: Readonly<Record<string, string>>;
}

/**
 * The body of POST (no `base`) or PUT.
 *
 * @param base the Secret as it is now, where it carries anything of others, or its uid and resourceVersion alone.
 */
export function renderSecret(
  spec: WorkloadCertificateSpec,
  owner: Owner,
  material: Material,
  book: Bookkeeping,
  base?: RawSecret | { readonly uid: string; readonly resourceVersion: string },
  keepOwners = false,
): RenderedSecret {
  const desired = desiredMetadata(spec, owner);
  const whole = base !== undefined && 'data' in base ? base : undefined;
  const references = keepOwners ? (whole?.ownerReferences ?? []) : ownerReferences(spec, owner, whole);
  const finalizers = whole?.metadata['finalizers'];
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace: owner.namespace,
      name: spec.secretName,
      ...(base === undefined ? {} : { uid: base.uid, resourceVersion: base.resourceVersion }),
      labels: { ...foreign(whole?.labels, whole, 'labels'), ...desired.labels },
      annotations: {
        ...foreign(whole?.annotations, whole, 'annotations'),
        ...desired.annotations,
        [annotations.revision]: String(book.revision),
        ...(book.renewedAt === undefined ? {} : { [annotations.renewedAt]: book.renewedAt }),
      },
      ...(references.length === 0 ? {} : { ownerReferences: references }),
      ...(Array.isArray(finalizers) ? { finalizers } : {}),
    },
    type: 'kubernetes.io/tls',
    data: { ...foreignData(whole), ...ownData(spec, material) },
  };
}

function ownData(spec: WorkloadCertificateSpec, material: Material): Record<string, string> {
  const data: Record<string, string> = {
    'tls.crt': base64(material.chainPem),
    'tls.key': base64(material.keyPem),
    'ca.crt': base64(material.bundlePem),
    ...material.keystores,
  };
  for (const { type } of spec.outputs ?? []) Object.assign(data, plainOutput(type, material));
  return data;
}

/** Everything but what an earlier version of us put there. */
function foreign(
  map: Readonly<Record<string, string>> | undefined,
  whole: RawSecret | undefined,
  kind: 'labels' | 'annotations',
) {
  const ours = new Set<string>([...baseKeys[kind], ...rememberedKeys(whole, kind)]);
  const consumed: ReadonlySet<string> = new Set([annotations.adopt, annotations.revision, annotations.renewedAt]);
  return Object.fromEntries(Object.entries(map ?? {}).filter(([key]) => !ours.has(key) && !consumed.has(key)));
}

function rememberedKeys(whole: RawSecret | undefined, kind: 'labels' | 'annotations'): readonly string[] {
  return whole === undefined ? [] : templateKeysOf(whole.annotations[annotations.template])[kind];
}

function foreignData(whole: RawSecret | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(whole?.data ?? {}).filter(([key]) => !ownDataKeys.has(key)));
}

/**
 * With Delete an owner reference has the garbage collector remove the Secret. It names no controller and blocks nothing, so that no further
 * permission is needed to set it on a new Secret.
 */
function ownerReferences(
  spec: WorkloadCertificateSpec,
  owner: Owner,
  whole: RawSecret | undefined,
): Readonly<Record<string, unknown>>[] {
  const found = whole?.ownerReferences ?? [];
  const others = found.filter((reference) => !isOwnerOfOurs(reference));
  if (spec.deletionPolicy !== 'Delete') return others;
  // Left in its place: another order is a change of owners to the API server, and that is forbidden to us.
  if (found.length === others.length + 1 && found.some(({ uid }) => uid === owner.uid)) return [...found];
  return [...others, { apiVersion: API_VERSION, kind: workloadCertificateKind.kind, name: owner.name, uid: owner.uid }];
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Query parameters of every write. */
export const writeQuery = { fieldManager: FIELD_MANAGER } as const;
