/** Reads and writes the Secrets of CA generations. Decides nothing. */
import { annotations, labels, purposes } from '../api/index.ts';
import {
  ApiError,
  asRecord,
  type Clock,
  type EventRecorder,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type Log,
  messageOf,
  resourcePath,
  SECRETS,
  type Store,
  type Transport,
} from '../kube/index.ts';
import {
  type BrokenGeneration,
  type Generation,
  generationOwner,
  generationSecretName,
  type Role,
} from './generation.ts';
import type { Plan } from './lifecycle.ts';
import { itemsOf } from './list.ts';
import { type Refusal, Refusals } from './refusals.ts';
import { disagreement, isOver, superseded } from './retirement.ts';
import type { makeGeneration } from './selfSigned.ts';
import { type CaSecretRecord, decodeCaSecret, readCaSecret } from './store.ts';

export interface GenerationStoreOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly operatorNamespace: string;
  readonly caSecrets: Store<CaSecretRecord>;
}

/** What is refused today is tried again within so long (ms): a CA that is needed, and housekeeping, which can wait. */
const MAKING_RETRY = 30_000;
const HOUSEKEEPING_RETRY = 600_000;
/** A policy may say anything at any length. */
const LONGEST_REASON = 500;

/** What became of a generation that is needed: nothing to say where it is there now. */
export interface Unmade {
  readonly reason: 'GenerationBroken' | 'GenerationRefused';
  readonly message: string;
  /** ms */
  readonly retryAt: number;
}

export interface Retirement {
  /** When to look again, ms; undefined where everything is done. */
  readonly wakeAt?: number | undefined;
  /** What the API server refuses of it. */
  readonly note?: string | undefined;
}

export class GenerationStore {
  readonly #options: GenerationStoreOptions;
  /** By the name of the Secret that is to be made. */
  readonly #unmade: Refusals;
  /** By authority. */
  readonly #unretired: Refusals;

  constructor(options: GenerationStoreOptions) {
    this.#options = options;
    this.#unmade = new Refusals(options.clock, MAKING_RETRY);
    this.#unretired = new Refusals(options.clock, HOUSEKEEPING_RETRY);
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
    const list = await transport.request({ method: 'GET', path, query, signal });
    return itemsOf(list, 'CA Secrets').flatMap((item) => {
      const { key, value } = decodeCaSecret(item);
      caSecrets.observe(key, value);
      return value.generation?.authority === authority ? [value.generation] : [];
    });
  }

  /**
   * Makes the generation `number` and stores it; only then may it sign.
   * @param make is not called while the API server has just refused that very generation: keys cost CPU, and a refusal stays one for a while.
   * @returns undefined where the generation is there now.
   * @throws TransportError where nobody knows whether it is.
   */
  async make(
    authority: string,
    role: Role,
    number: number,
    regarding: Parameters<EventRecorder['record']>[0]['regarding'],
    make: () => ReturnType<typeof makeGeneration>,
    signal: AbortSignal,
  ): Promise<Unmade | undefined> {
    const secretName = generationSecretName(authority, role, number);
    const waiting = this.#unmade.waiting(secretName);
    if (waiting !== undefined) return unmade(waiting);
    const problem = await this.#post(authority, secretName, regarding, await make(), signal);
    if (problem === undefined) {
      this.#unmade.forget(secretName);
      return undefined;
    }
    this.#options.log.error({ authority, role, secretName }, problem);
    return unmade(this.#unmade.note(secretName, problem));
  }

  /** @returns what is wrong where the name is taken by something that is no generation of this authority, or the API server refuses it. */
  async #post(
    authority: string,
    secretName: string,
    regarding: Parameters<EventRecorder['record']>[0]['regarding'],
    made: Awaited<ReturnType<typeof makeGeneration>>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { operatorNamespace, transport, caSecrets, events, log } = this.#options;
    const { fingerprint } = made.certificate;
    const fields = { authority, role: made.role, secretName, fingerprint };
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
      if (!(error instanceof ApiError)) throw error;
      if (!isAlreadyExists(error))
        return `the API server refuses to store the ${made.role.toLowerCase()} CA in Secret "${secretName}" in the operator’s namespace: ${saidBy(error)}`;
      const path = resourcePath(SECRETS, operatorNamespace, secretName);
      const found = await transport.request({ method: 'GET', path, signal });
      if (generationOwner(readCaSecret(found)) !== authority) return `Secret "${secretName}" ${IN_THE_WAY}`;
      const { key, value } = decodeCaSecret(found);
      caSecrets.observe(key, value);
      return undefined;
    }
  }

  /**
   * Marks superseded issuing CAs, and removes those of which no certificate can be alive: an unused CA key is only a liability. Nothing hangs
   * on it: what goes wrong is told of and tried again.
   * @throws only where the signal aborts.
   */
  async retire(authority: string, plan: Plan, signal: AbortSignal): Promise<Retirement> {
    const old = superseded(plan);
    if (old.length === 0 && plan.expired.length === 0) {
      this.#unretired.forget(authority);
      return {};
    }
    const waiting = this.#unretired.waiting(authority);
    if (waiting !== undefined) return { wakeAt: waiting.retryAt, note: waiting.message || undefined };
    const failures: unknown[] = [];
    const told: string[] = [];
    const attempt = async (secretName: string, what: string, write: () => Promise<void>) => {
      try {
        await write();
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(error);
        const message = `Secret "${secretName}" of an issuing CA that is not needed any more cannot be ${what}: ${saidBy(error)}`;
        this.#options.log.warn({ authority, secretName }, message);
        // A lost answer, or a change in between, is nothing that anybody has to mend.
        if (error instanceof ApiError && !isConflict(error)) told.push(message);
      }
    };
    for (const ca of old) await attempt(ca.secretName, 'marked as retired', () => this.#mark(ca, signal));
    const { over, wakeAt } = await this.#ended(authority, plan, signal);
    for (const ca of over) await attempt(ca.secretName, 'removed', () => this.#remove(authority, ca, signal));
    if (failures.length === 0) {
      this.#unretired.forget(authority);
      return { wakeAt };
    }
    const { message, retryAt } = this.#unretired.note(authority, told.join('; '));
    return { wakeAt: Math.min(retryAt, wakeAt ?? retryAt), note: message || undefined };
  }

  /** Those that have ended by the API server's clock too. */
  async #ended(authority: string, { expired, able }: Plan, signal: AbortSignal) {
    if (expired.length === 0) return { over: [] };
    const { clock, log } = this.#options;
    const serverNow = await this.#serverTime(signal);
    const over = expired.filter((old) => serverNow !== undefined && isOver(old, able, serverNow));
    const left = expired.filter((old) => !over.includes(old));
    if (left.length === 0) return { over };
    const { alarming, recheck } = disagreement(left, able, serverNow);
    const kept = left.map(({ secretName }) => secretName);
    const fields = { authority, kept, serverTime: serverNow && new Date(serverNow).toISOString() };
    if (alarming) log.warn(fields, 'CAs that have ended by our clock are kept: the API server’s clock does not say so');
    return { over, wakeAt: clock.now() + recheck };
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
   * Undefined where that fails, as it does under an admission webhook that does not serve dry runs, or does not answer.
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
      if (signal.aborted) throw error;
      log.warn({ error: messageOf(error) }, 'the API server does not tell its time');
      return undefined;
    }
  }
}

const IN_THE_WAY = 'in the operator’s namespace is in the way and no generation of this authority: rename or delete it';

function unmade({ message, retryAt }: Refusal): Unmade {
  return { reason: message.endsWith(IN_THE_WAY) ? 'GenerationBroken' : 'GenerationRefused', message, retryAt };
}

function saidBy(error: unknown): string {
  return messageOf(error).slice(0, LONGEST_REASON);
}
