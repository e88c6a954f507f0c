/** What is kept of CertificateAuthorities and of the Secrets in the operator's namespace. */
import { isRecord, stringMap } from '../kube/index.ts';
import {
  type BrokenGeneration,
  type CaSecret,
  type Generation,
  generationOwner,
  readGeneration,
} from './generation.ts';

/** There are few authorities: the whole object is kept, and parsed where it is judged. */
export interface AuthorityRecord {
  readonly resourceVersion: string;
  readonly object: unknown;
}

export function decodeAuthority(object: unknown): { key: string; value: AuthorityRecord } {
  const { name, resourceVersion } = metadataOf(object);
  return { key: name, value: { resourceVersion, object } };
}

export interface CaSecretRecord {
  readonly resourceVersion: string;
  readonly uid: string;
  /** Absent: a Secret of something else, of which nothing is kept; it may be one that an authority names in `provided`. */
  readonly generation: Generation | BrokenGeneration | undefined;
}

/** The private key becomes a KeyObject at once; the text that it came in is not kept. */
export function decodeCaSecret(object: unknown): { key: string; value: CaSecretRecord } {
  const secret = readCaSecret(object);
  const generation = generationOwner(secret) === undefined ? undefined : readGeneration(secret);
  return {
    key: `${secret.namespace}/${secret.name}`,
    value: { resourceVersion: secret.resourceVersion, uid: secret.uid, generation },
  };
}

/** @throws Error where the object is no Secret of the core API. */
export function readCaSecret(object: unknown): CaSecret & { readonly namespace: string } {
  const { metadata, name, namespace, uid, resourceVersion } = metadataOf(object);
  const data: Record<string, string> = {};
  for (const [key, value] of Object.entries(stringMap(isRecord(object) ? object['data'] : undefined))) {
    data[key] = Buffer.from(value, 'base64').toString('utf8');
  }
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    labels: stringMap(metadata['labels']),
    annotations: stringMap(metadata['annotations']),
    data,
  };
}

function metadataOf(object: unknown) {
  const metadata = isRecord(object) && isRecord(object['metadata']) ? object['metadata'] : {};
  const text = (key: string) => {
    const value = metadata[key];
    return typeof value === 'string' ? value : '';
  };
  const found = {
    metadata,
    name: text('name'),
    namespace: text('namespace'),
    uid: text('uid'),
    resourceVersion: text('resourceVersion'),
  };
  if (found.name === '' || found.resourceVersion === '') throw new Error('an object without name or resourceVersion');
  return found;
}
