/** Looks into leaf Secrets for the certificates of issuing CAs whose own Secrets are gone. Anybody may write leaf Secrets of any content and number. */
import { type Clock, type Log, messageOf, resourcePath, SECRETS, splitKey, type Transport } from '../kube/index.ts';
import type { ParsedCertificate } from '../pki/index.ts';
import { digestOf } from './digest.ts';
import type { BrokenGeneration, Generation } from './generation.ts';
import { issuerBehindLeaf } from './recovered.ts';
import { readCaSecret } from './store.ts';
import { caIdOf } from './view.ts';

export interface IssuerSearchOptions {
  readonly transport: Pick<Transport, 'request'>;
  readonly clock: Clock;
  readonly log: Log;
  /** The CAs that leaf Secrets of the authority hang on, the most frequent first, each with some Secrets to read it from. */
  readonly issuersInUse: (authority: string) => readonly IssuerInUse[];
}

export interface Searched {
  readonly certificates: readonly ParsedCertificate[];
  /** `caIdOf` the CAs, found or not, of which this search can tell: not of one whose leaf Secrets could not be read. */
  readonly sought: ReadonlySet<string>;
}

export interface IssuerInUse {
  /** `caIdOf` the CA. */
  readonly issuerId: string;
  /** One for each chain that stands behind a leaf, the most frequent first. */
  readonly secrets: readonly LeafSecret[];
}

export interface LeafSecret {
  /** namespace/name */
  readonly key: string;
  readonly resourceVersion: string;
}

/** Secrets that are read in search of one CA. */
const MOST_FOR_ONE = 8;
/** Secrets that are read in one search: they are read one after the other, and the authority waits for it. */
const MOST_AT_ONCE = 32;
const MOST_REMEMBERED = 256;
const MOST_IN_VAIN = 4096;
/** What could not be read is not read again for so long (ms). */
const FAULT_RESTS = 60_000;

export class IssuerSearch {
  readonly #options: IssuerSearchOptions;
  /** Certificates that a root of the authority has signed, by authority and CA id. */
  readonly #found = new Map<string, ParsedCertificate>();
  /** What was read in vain, and until when that counts by the monotonic clock. The oldest first. */
  readonly #inVain = new Map<string, number>();

  constructor(options: IssuerSearchOptions) {
    this.#options = options;
  }

  /**
   * Certificates of issuing CAs that leaves in use hang on and none of the generations has. What one search leaves unread, the next ones read.
   * @throws only where the signal aborts.
   */
  async search(
    authority: string,
    generations: readonly (Generation | BrokenGeneration)[],
    signal: AbortSignal,
  ): Promise<Searched> {
    const sound = generations.filter((item): item is Generation => 'certificate' in item);
    const known = new Set(sound.map(({ certificate }) => caIdOf(certificate)));
    const roots = sound.flatMap(({ role, certificate, roots: above }) => (role === 'Root' ? [certificate] : above));
    const sought = new Set<string>();
    if (roots.length === 0) return { certificates: [], sought };
    // What a root has not signed another may have, once it is restored.
    const under = digestOf(roots.map(({ fingerprint }) => fingerprint).sort());
    const placeOf = (issuerId: string, { key, resourceVersion }: LeafSecret) =>
      `${under} ${issuerId} ${key} ${resourceVersion}`;
    const found: ParsedCertificate[] = [];
    let left = MOST_AT_ONCE;
    for (const { issuerId, secrets } of this.#options.issuersInUse(authority)) {
      sought.add(issuerId);
      if (known.has(issuerId)) continue;
      let certificate = this.#found.get(`${authority} ${issuerId}`);
      for (const secret of secrets.slice(0, MOST_FOR_ONE)) {
        if (certificate !== undefined || left === 0) break;
        const what = placeOf(issuerId, secret);
        if (this.#wasInVain(what)) continue;
        left -= 1;
        certificate = await this.#read(what, secret.key, issuerId, roots, signal);
      }
      if (certificate === undefined) {
        if (secrets.some((secret) => this.#isFaulty(placeOf(issuerId, secret)))) sought.delete(issuerId);
        continue;
      }
      found.push(certificate);
      remember(this.#found, MOST_REMEMBERED, `${authority} ${issuerId}`, certificate);
    }
    return { certificates: found, sought };
  }

  async #read(
    what: string,
    key: string,
    issuerId: string,
    roots: readonly ParsedCertificate[],
    signal: AbortSignal,
  ): Promise<ParsedCertificate | undefined> {
    const { clock, log, transport } = this.#options;
    const { namespace, name } = splitKey(key);
    try {
      const path = resourcePath(SECRETS, namespace, name);
      const { data } = readCaSecret(await transport.request({ method: 'GET', path, signal }));
      const certificate = issuerBehindLeaf(data['tls.crt'] ?? '', issuerId, roots);
      if (certificate === undefined) remember(this.#inVain, MOST_IN_VAIN, what, Number.POSITIVE_INFINITY);
      return certificate;
    } catch (error) {
      if (signal.aborted) throw error;
      // One that cannot be read tells nothing; it is no reason to stop.
      log.warn({ secret: key, error: messageOf(error) }, 'a Secret with a certificate of a lost CA cannot be read');
      remember(this.#inVain, MOST_IN_VAIN, what, clock.monotonic() + FAULT_RESTS);
      return undefined;
    }
  }

  /** Reading it has failed a moment ago, and may succeed yet. */
  #isFaulty(what: string): boolean {
    return this.#inVain.get(what) !== Number.POSITIVE_INFINITY && this.#wasInVain(what);
  }

  #wasInVain(what: string): boolean {
    return (this.#inVain.get(what) ?? 0) > this.#options.clock.monotonic();
  }
}

/** The oldest goes where there are too many. */
function remember<Value>(memory: Map<string, Value>, most: number, key: string, value: Value): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size <= most) return;
  for (const oldest of memory.keys()) {
    memory.delete(oldest);
    return;
  }
}
