/**
 * What the operator remembers of a leaf Secret: a few hundred bytes of facts instead of the Secret, and never the private key.
 * Everything in a Secret is hostile until shown otherwise: anyone who may edit it may have put anything there.
 */
import { annotations, GROUP, labels, purposes } from '../api/index.ts';
import { caIdOf, digestOf } from '../authority/index.ts';
import { asRecord, asString, stringMap } from '../kube/index.ts';
import {
  isSignedBy,
  keyMatches,
  loadKeyPair,
  type ParsedCertificate,
  PkiError,
  parseCertificate,
  parseCertificates,
} from '../pki/index.ts';
import { furtherKeys, inspectOutputs } from './outputs.ts';

export interface LeafFacts {
  readonly serialNumber: string;
  /** ms */
  readonly notBefore: number;
  /** ms */
  readonly notAfter: number;
  readonly profileDigest: string;
  /** `caIdOf` the CA that has signed it: found by its signature, not by what the certificate says. */
  readonly issuerId: string;
}

export interface SoundContent {
  readonly state: 'sound';
  readonly leaf: LeafFacts;
  readonly keyEncoding: string;
  readonly chainDigest: string;
  readonly caDigest: string;
  /** Fingerprints of the certificates in ca.crt, joined by commas; one text for all Secrets that share it. */
  readonly roots: string;
  /** See `inspectOutputs`. */
  readonly outputs: string;
}

export interface BrokenContent {
  readonly state: 'broken';
  readonly reason: 'SecretIncomplete' | 'SecretUnreadable' | 'KeyMismatch' | 'ChainBroken';
  readonly detail: string;
}

export interface SecretRecord {
  readonly resourceVersion: string;
  readonly uid: string;
  readonly type: string;
  readonly immutable: boolean;
  /** The WorkloadCertificate that the Secret says it belongs to; undefined: not ours. */
  readonly holder: string | undefined;
  /** Carries our label: without it no cache holds the Secret. */
  readonly labelled: boolean;
  readonly adopt: string | undefined;
  readonly authority: string | undefined;
  readonly revision: number;
  /** The value of renew-at that the present certificate has honoured. */
  readonly renewedAt: string | undefined;
  readonly metadataDigest: string;
  /** UIDs of owner references to WorkloadCertificates, joined by commas. */
  readonly ownerUid: string;
  /** Carries labels, annotations, data, finalizers or owners of others, which a replacement must keep. */
  readonly foreign: boolean;
  /** Digest of all data: with the same digest, `content` is the same and need not be looked at again. */
  readonly dataDigest: string;
  readonly content: SoundContent | BrokenContent;
}

/** A Secret as the API server sends it, checked as far as it is used; values of `data` are still base64. */
export interface RawSecret {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly Readonly<Record<string, unknown>>[];
  readonly type: string;
  readonly immutable: boolean;
  readonly data: Readonly<Record<string, string>>;
}

/** @throws Error where the object is not a Secret of the core API. */
export function readSecret(object: unknown): RawSecret {
  const secret = asRecord(object);
  const metadata = asRecord(secret['metadata']);
  const owners = metadata['ownerReferences'];
  return {
    metadata,
    namespace: asString(metadata['namespace']),
    name: asString(metadata['name']),
    uid: asString(metadata['uid']),
    resourceVersion: asString(metadata['resourceVersion']),
    labels: stringMap(metadata['labels']),
    annotations: stringMap(metadata['annotations']),
    ownerReferences: Array.isArray(owners) ? owners.map(asRecord) : [],
    type: typeof secret['type'] === 'string' ? secret['type'] : 'Opaque',
    immutable: secret['immutable'] === true,
    data: stringMap(secret['data']),
  };
}

/**
 * @param known what was found in an earlier version of this Secret, to be used again where the data are the same.
 * @param hints.content what a look at these very data would find, where that is known.
 * @param hints.roots of all authorities: a leaf right under a root is still good when somebody has edited the ca.crt beside it.
 */
export function inspectSecret(
  secret: RawSecret,
  known?: Pick<SecretRecord, 'dataDigest' | 'content'>,
  hints: { readonly content?: SoundContent | undefined; readonly roots?: () => readonly ParsedCertificate[] } = {},
): SecretRecord {
  const dataDigest = dataDigestOf(secret.data);
  const owned = templateKeysOf(secret.annotations[annotations.template]);
  return {
    resourceVersion: secret.resourceVersion,
    uid: secret.uid,
    type: bounded(secret.type),
    immutable: secret.immutable,
    holder: bounded(secret.annotations[annotations.certificate]),
    labelled: secret.labels[labels.purpose] === purposes.workloadCertificate,
    adopt: bounded(secret.annotations[annotations.adopt]),
    authority: intern(bounded(secret.annotations[annotations.authority])),
    revision: revisionOf(secret.annotations[annotations.revision]),
    renewedAt: bounded(secret.annotations[annotations.renewedAt]),
    metadataDigest: metadataDigest(pick(secret.labels, owned.labels), pick(secret.annotations, owned.annotations)),
    ownerUid: bounded(
      secret.ownerReferences
        .filter(isOwnerOfOurs)
        .map((owner) => String(owner['uid']))
        .join(','),
    ),
    foreign: hasForeign(secret, owned),
    dataDigest,
    content:
      hints.content ?? (known?.dataDigest === dataDigest ? known.content : inspectContent(secret.data, hints.roots)),
  };
}

/** Other groups may have a kind of the same name. */
export function isOwnerOfOurs(owner: Readonly<Record<string, unknown>>): boolean {
  return owner['kind'] === 'WorkloadCertificate' && String(owner['apiVersion']).startsWith(`${GROUP}/`);
}

/** Longer than any name, UID or time; an annotation may have 256 KiB, which nobody needs to remember. */
const LONGEST_TEXT = 256;

function bounded(text: string): string;
function bounded(text: string | undefined): string | undefined;
function bounded(text: string | undefined): string | undefined {
  return text === undefined || text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** What is no such number counts from the start again: it goes into status, where the API server takes integers only. */
function revisionOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : 0;
}

export function dataDigestOf(data: Readonly<Record<string, string>>): string {
  return digestOf(Object.entries(data).sort(byKey));
}

/** The digest that two Secrets share exactly if they carry the same labels and annotations of ours. */
export function metadataDigest(
  secretLabels: Readonly<Record<string, string>>,
  secretAnnotations: Readonly<Record<string, string>>,
): string {
  return digestOf([Object.entries(secretLabels).sort(byKey), Object.entries(secretAnnotations).sort(byKey)]);
}

/** Keys of `data` that are ours, whether or not the spec asks for them at present. */
export const ownDataKeys: ReadonlySet<string> = new Set(['tls.crt', 'tls.key', 'ca.crt', ...furtherKeys]);

/** Annotations of ours that change with each certificate or are set by users: never drift. */
const volatileAnnotations: ReadonlySet<string> = new Set([
  annotations.revision,
  annotations.renewedAt,
  annotations.adopt,
]);

function hasForeign(secret: RawSecret, owned: TemplateKeys): boolean {
  const foreignLabel = Object.keys(secret.labels).some((key) => !owned.labels.includes(key));
  const foreignAnnotation = Object.keys(secret.annotations).some(
    (key) => !owned.annotations.includes(key) && !volatileAnnotations.has(key),
  );
  const foreignData = Object.keys(secret.data).some((key) => !ownDataKeys.has(key));
  const foreignOwner = !secret.ownerReferences.every(isOwnerOfOurs);
  const finalizers = secret.metadata['finalizers'];
  return (
    foreignLabel ||
    foreignAnnotation ||
    foreignData ||
    foreignOwner ||
    (Array.isArray(finalizers) && finalizers.length > 0)
  );
}

interface TemplateKeys {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

/** Keys that every Secret of ours carries, whatever its template. */
export const baseKeys: TemplateKeys = {
  labels: [labels.purpose],
  annotations: [annotations.certificate, annotations.authority, annotations.template],
};

/**
 * Which labels and annotations of the Secret are ours: the fixed ones, and those that the template put there, which the Secret itself remembers, so
 * that a key dropped from the template is also dropped from the Secret, while what others have added stays.
 */
export function templateKeysOf(remembered: string | undefined): TemplateKeys {
  try {
    const parsed = asRecord(JSON.parse(remembered ?? '{}'));
    return {
      labels: [...baseKeys.labels, ...strings(parsed['labels'])],
      annotations: [...baseKeys.annotations, ...strings(parsed['annotations'])],
    };
  } catch {
    // Not ours to trust: the digest of the metadata will differ, and the next write sets it right.
    return baseKeys;
  }
}

function inspectContent(
  data: Readonly<Record<string, string>>,
  roots: () => readonly ParsedCertificate[] = () => [],
): SoundContent | BrokenContent {
  const missing = ['tls.crt', 'tls.key'].filter((key) => (data[key] ?? '') === '');
  if (missing.length > 0) return { state: 'broken', reason: 'SecretIncomplete', detail: `no ${missing.join(', no ')}` };
  const chain = readable('tls.crt', () => splitChain(decode(data['tls.crt'])));
  if ('reason' in chain) return chain;
  const key = readable('tls.key', () => loadKeyPair(decode(data['tls.key'])));
  if ('reason' in key) return key;
  const { leaf, intermediatesPem } = chain;
  if (!keyMatches(key, leaf)) return { state: 'broken', reason: 'KeyMismatch', detail: '' };
  const caPem = decode(data['ca.crt']);
  const signer = intermediatesPem === '' ? rootOf(leaf, caPem, roots) : issuerOf(leaf, intermediatesPem);
  if ('reason' in signer) return signer;
  return contentOf({
    leaf: {
      serialNumber: leaf.serialNumber,
      notBefore: leaf.notBefore.getTime(),
      notAfter: leaf.notAfter.getTime(),
      profileDigest: leaf.profileDigest,
      issuerId: intern(caIdOf(signer)),
    },
    keyEncoding: encodingOf(decode(data['tls.key'])),
    intermediatesPem,
    caPem,
    outputs: inspectOutputs(data, () => ({
      keyPem: decode(data['tls.key']),
      keyDer: key.der('PKCS8'),
      chainPem: decode(data['tls.crt']),
      bundlePem: caPem,
    })),
  });
}

function issuerOf(leaf: ParsedCertificate, intermediatesPem: string): ParsedCertificate | BrokenContent {
  const chain = readable('the chain', () => knownCertificates(intermediatesPem));
  if ('reason' in chain) return { state: 'broken', reason: 'ChainBroken', detail: chain.detail };
  const [issuer] = chain;
  if (issuer === undefined || !isSignedBy(leaf, issuer)) return { state: 'broken', reason: 'ChainBroken', detail: '' };
  return issuer;
}

function rootOf(
  leaf: ParsedCertificate,
  caPem: string,
  roots: () => readonly ParsedCertificate[],
): ParsedCertificate | BrokenContent {
  const beside = readable('the chain', () => knownCertificates(caPem));
  const found =
    ('reason' in beside ? undefined : beside.find((root) => isSignedBy(leaf, root))) ??
    roots().find((root) => isSignedBy(leaf, root));
  return found ?? { state: 'broken', reason: 'ChainBroken', detail: 'reason' in beside ? beside.detail : '' };
}

/** What `inspectContent` finds in a Secret that was just made: known without reading it again. */
export function contentOf(made: {
  readonly leaf: LeafFacts;
  readonly keyEncoding: string;
  readonly intermediatesPem: string;
  readonly caPem: string;
  readonly outputs: string;
}): SoundContent {
  const { leaf, keyEncoding, intermediatesPem, caPem, outputs } = made;
  return {
    state: 'sound',
    leaf,
    keyEncoding,
    chainDigest: shared(chainDigests, intermediatesPem, digestOf),
    caDigest: shared(chainDigests, caPem, digestOf),
    roots: shared(rootsOf, caPem, rootFingerprints),
    outputs: intern(outputs),
  };
}

const END = '-----END CERTIFICATE-----\n';

/** The leaf, and the text behind it, which must be the authority's chain to the letter. */
function splitChain(pem: string): { leaf: ParsedCertificate; intermediatesPem: string } {
  const end = pem.indexOf(END);
  const cut = end < 0 ? pem.length : end + END.length;
  return { leaf: parseCertificate(pem.slice(0, cut), { lightly: true }), intermediatesPem: pem.slice(cut) };
}

/**
 * Thousands of Secrets share a handful of chains: each text is parsed and digested once. Bounded, since a hostile writer could bring a new
 * text each time.
 */
const chains = new Map<string, readonly ParsedCertificate[]>();
const chainDigests = new Map<string, string>();
const rootsOf = new Map<string, string>();
const MAX_CHAINS = 64;
const LONGEST_KNOWN_CHAIN = 64 * 1024;

const knownCertificates = (pem: string): readonly ParsedCertificate[] => shared(chains, pem, parseCertificates);

function shared<T>(known: Map<string, T>, pem: string, find: (pem: string) => T): T {
  const before = known.get(pem);
  if (before !== undefined) return before;
  const found = find(pem);
  if (pem.length > LONGEST_KNOWN_CHAIN) return found;
  if (known.size >= MAX_CHAINS) known.clear();
  known.set(pem, found);
  return found;
}

/** ca.crt may hold anything; what is no certificate is no root that anybody trusts. */
function rootFingerprints(caPem: string): string {
  if (caPem === '') return '';
  const roots = readable('ca.crt', () => knownCertificates(caPem));
  return 'reason' in roots ? '' : roots.map(({ fingerprint }) => fingerprint).join(',');
}

/** Texts that thousands of records share are kept once. Bounded, since a hostile writer could bring a new text each time. */
const interned = new Map<string, string>();
const MAX_INTERNED = 1024;

function intern(text: string): string;
function intern(text: string | undefined): string | undefined;
function intern(text: string | undefined): string | undefined {
  if (text === undefined) return text;
  const known = interned.get(text);
  if (known !== undefined) return known;
  if (interned.size >= MAX_INTERNED) interned.clear();
  interned.set(text, text);
  return text;
}

function readable<T>(what: string, read: () => T): T | BrokenContent {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    return { state: 'broken', reason: 'SecretUnreadable', detail: `${what}: ${error.message}` };
  }
}

function encodingOf(pem: string): string {
  if (pem.includes('BEGIN RSA PRIVATE KEY')) return 'PKCS1';
  return pem.includes('BEGIN EC PRIVATE KEY') ? 'SEC1' : 'PKCS8';
}

function decode(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString('utf8');
}

function pick(map: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(map, key)).map((key) => [key, map[key] ?? '']));
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function byKey(a: readonly [string, string], b: readonly [string, string]): number {
  return a[0] < b[0] ? -1 : Number(a[0] > b[0]);
}
