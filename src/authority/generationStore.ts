/** Reads and writes the Secrets of CA generations, and what other Secrets tell of them. Decides nothing. */
import { annotations, labels, purposes } from '../api/index.ts';
import {
  ApiError,
  asRecord,
  type EventRecorder,
  isAlreadyExists,
  isNotFound,
  type Log,
  messageOf,
  resourcePath,
  type Store,
  splitKey,
  type Transport,
} from '../kube/index.ts';
import type { ParsedCertificate } from '../pki/index.ts';
import { type BrokenGeneration, type Generation, generationOwner, generationSecretName } from './generation.ts';
import type { Plan } from './lifecycle.ts';
import { issuerBehindLeaf } from './recovered.ts';
import { isOver } from './retirement.ts';
import type { makeGeneration } from './selfSigned.ts';
import { type CaSecretRecord, decodeCaSecret, readCaSecret } from './store.ts';
import { caIdOf } from './view.ts';

export interface GenerationStoreOptions {
  readonly transport: Transport;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly operatorNamespace: string;
  readonly caSecrets: Store<CaSecretRecord>;
  /** The CAs that leaf Secrets of the authority hang on, each with some Secrets (namespace/name) to read it from. */
  readonly issuersInUse: (authority: string) => readonly IssuerInUse[];
}

export interface IssuerInUse {
  /** `caIdOf` the CA. */
  readonly issuerId: string;
  /** namespace/name of leaf Secrets: one for each chain that stands there, the most frequent first. */
  readonly secrets: readonly string[];
}

const SECRETS = { group: '', version: 'v1', plural: 'secrets' } as const;
/** Anybody may write leaf Secrets of any content: so many are read in search of one CA. */
const MOST_READ = 8;
const MOST_REMEMBERED = 256;

export class GenerationStore {
  readonly #options: GenerationStoreOptions;
  /** Certificates that a root of the authority has signed, by authority and CA id. */
  readonly #recovered = new Map<string, ParsedCertificate>();

  constructor(options: GenerationStoreOptions) {
    this.#options = options;
  }

  /** As the cache knows them. */
  cached(authority: string): (Generation | BrokenGeneration)[] {
    return [...this.#options.caSecrets.values()].flatMap(({ generation }) =>
      generation?.authority === authority ? [generation] : [],
    );
  }

  /** As the API server has them now: the cache may be behind, and what is decided from a Secret's absence is not undone. */
  async listed(authority: string, signal: AbortSignal): Promise<(Generation | BrokenGeneration)[]> {
    const { caSecrets, operatorNamespace, transport } = this.#options;
    const query = { labelSelector: `${labels.purpose}=${purposes.authority},${labels.authority}=${authority}` };
    const path = resourcePath(SECRETS, operatorNamespace);
    const list = asRecord(await transport.request({ method: 'GET', path, query, signal }));
    const items: unknown[] = Array.isArray(list['items']) ? list['items'] : [];
    return items.flatMap((item) => {
      const { key, value } = decodeCaSecret(item);
      caSecrets.observe(key, value);
      return value.generation?.authority === authority ? [value.generation] : [];
    });
  }

  /** Certificates of issuing CAs that leaves in use hang on and none of the generations has. */
  async behindLeaves(
    authority: string,
    found: readonly (Generation | BrokenGeneration)[],
    signal: AbortSignal,
  ): Promise<ParsedCertificate[]> {
    const generations = found.filter((item): item is Generation => 'certificate' in item);
    const known = new Set(generations.map(({ certificate }) => caIdOf(certificate)));
    const roots = generations.flatMap(({ role, certificate, roots: above }) =>
      role === 'Root' ? [certificate] : above,
    );
    const recovered: ParsedCertificate[] = [];
    for (const { issuerId, secrets } of this.#options.issuersInUse(authority)) {
      if (known.has(issuerId) || roots.length === 0) continue;
      const certificate =
        this.#recovered.get(`${authority} ${issuerId}`) ?? (await this.#recover(issuerId, secrets, roots, signal));
      if (certificate === undefined) continue;
      recovered.push(certificate);
      if (this.#recovered.size >= MOST_REMEMBERED) this.#recovered.clear();
      this.#recovered.set(`${authority} ${issuerId}`, certificate);
    }
    return recovered;
  }

  async #recover(
    issuerId: string,
    secrets: readonly string[],
    roots: readonly ParsedCertificate[],
    signal: AbortSignal,
  ): Promise<ParsedCertificate | undefined> {
    for (const key of secrets.slice(0, MOST_READ)) {
      const { namespace, name } = splitKey(key);
      try {
        const path = resourcePath(SECRETS, namespace, name);
        const { data } = readCaSecret(await this.#options.transport.request({ method: 'GET', path, signal }));
        const certificate = issuerBehindLeaf(data['tls.crt'] ?? '', issuerId, roots);
        if (certificate !== undefined) return certificate;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return undefined;
  }

  /** @returns what is wrong where the name is taken by something that is no generation of this authority. */
  async post(
    { metadata }: { readonly metadata: { readonly name: string } },
    regarding: Parameters<EventRecorder['record']>[0]['regarding'],
    made: Awaited<ReturnType<typeof makeGeneration>>,
    number: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { operatorNamespace, transport, caSecrets, events, log } = this.#options;
    const secretName = generationSecretName(metadata.name, made.role, number);
    const { fingerprint } = made.certificate;
    const fields = { authority: metadata.name, role: made.role, secretName, fingerprint };
    try {
      const path = resourcePath(SECRETS, operatorNamespace);
      const created = await transport.request({ method: 'POST', path, body: made.secret, signal });
      const { key, value } = decodeCaSecret(created);
      caSecrets.observe(key, value);
      log.info({ ...fields, notAfter: made.certificate.notAfter.toISOString() }, 'made a CA');
      const note = `Made the ${made.role.toLowerCase()} CA in Secret ${operatorNamespace}/${secretName}, valid until ${made.certificate.notAfter.toISOString()}`;
      events.record({ regarding, type: 'Normal', reason: `${made.role}Created`, action: 'CreateGeneration', note });
      return undefined;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const path = resourcePath(SECRETS, operatorNamespace, secretName);
      const found = await transport.request({ method: 'GET', path, signal });
      if (generationOwner(readCaSecret(found)) !== metadata.name) {
        return `Secret "${secretName}" in the operator’s namespace is in the way and no generation of this authority: rename or delete it`;
      }
      const { key, value } = decodeCaSecret(found);
      caSecrets.observe(key, value);
      return undefined;
    }
  }

  /**
   * Marks superseded issuing CAs, and removes those of which no certificate can be alive: an unused CA key is only a liability.
   * @returns false where one that has ended by our clock was kept, since the API server's clock does not bear that out.
   */
  async retire(authority: string, plan: Plan, signal: AbortSignal): Promise<boolean> {
    for (const old of plan.trustedIssuing) {
      if (old !== plan.issuing && old.phase === 'Active' && plan.issuing !== undefined) await this.#mark(old, signal);
    }
    if (plan.expired.length === 0) return true;
    const serverNow = await this.#serverTime(signal);
    const over = plan.expired.filter((old) => serverNow !== undefined && isOver(old, plan.able, serverNow));
    for (const old of over) await this.#remove(authority, old, signal);
    const kept = plan.expired.filter((old) => !over.includes(old)).map(({ secretName }) => secretName);
    if (kept.length > 0) {
      const fields = { authority, kept, serverTime: serverNow && new Date(serverNow).toISOString() };
      this.#options.log.warn(
        fields,
        'CAs that have ended by our clock are kept: the API server’s clock does not say so',
      );
    }
    return kept.length === 0;
  }

  async #mark({ secretName }: Generation, signal: AbortSignal): Promise<void> {
    const { transport, operatorNamespace, caSecrets } = this.#options;
    try {
      const path = resourcePath(SECRETS, operatorNamespace, secretName);
      const body = { metadata: { annotations: { [annotations.phase]: 'Retired' } } };
      const { key, value } = decodeCaSecret(await transport.request({ method: 'PATCH', path, body, signal }));
      caSecrets.observe(key, value);
    } catch (error) {
      // Deleted meanwhile: the watch will tell.
      if (!isNotFound(error)) throw error;
    }
  }

  async #remove(authority: string, { secretName, certificate }: Generation, signal: AbortSignal): Promise<void> {
    const { transport, operatorNamespace, caSecrets, log } = this.#options;
    const key = `${operatorNamespace}/${secretName}`;
    const record = caSecrets.get(key);
    if (record === undefined) return;
    try {
      const preconditions = { uid: record.uid, resourceVersion: record.resourceVersion };
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      const path = resourcePath(SECRETS, operatorNamespace, secretName);
      await transport.request({ method: 'DELETE', path, body, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    caSecrets.observeDeleted(key);
    log.info({ authority, secretName, fingerprint: certificate.fingerprint }, 'removed an expired issuing CA');
  }

  /**
   * The API server's clock (ms, whole seconds), from the creationTimestamp that it stamps on an object made for the purpose and never stored.
   * Undefined where it refuses that, as an admission webhook may that does not serve dry runs.
   */
  async #serverTime(signal: AbortSignal): Promise<number | undefined> {
    const { transport, operatorNamespace, log } = this.#options;
    try {
      const made = await transport.request({
        method: 'POST',
        path: resourcePath(SECRETS, operatorNamespace),
        query: { dryRun: 'All' },
        body: { apiVersion: 'v1', kind: 'Secret', metadata: { generateName: 'mtls-operator-clock-' } },
        signal,
      });
      const time = Date.parse(String(asRecord(asRecord(made)['metadata'])['creationTimestamp']));
      return Number.isNaN(time) ? undefined : time;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500) throw error;
      log.warn({ error: messageOf(error) }, 'the API server does not tell its time');
      return undefined;
    }
  }
}
