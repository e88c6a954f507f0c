/** Reads from the API server for `kubectl mtls`; never writes. */
import * as z from 'zod';
import { isStatus, type Resource, resourcePath, type Transport } from '../../kube/index.ts';
import { faultOf } from '../apiFault.ts';
import { CliError } from '../end.ts';

const DEADLINE_MS = 30_000;

const listOutline = z.object({
  items: z.array(z.unknown()),
  metadata: z.looseObject({ continue: z.string().nullish() }).nullish(),
});

/** One object, or a collection where `name` is left out. Without a namespace: in all of them, or of a kind that has none. */
export interface Place {
  readonly resource: Resource;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** Of a kind that has no namespaces. */
  readonly clusterScoped?: boolean;
  readonly labelSelector?: string;
}

/** What was read, or the permission that is missing for it. */
export type Reading<T> = { readonly value: T } | { readonly missing: string };

/** The permission that reading this needs, as a role would have it: `list pods in namespace shop`. */
export function permissionFor({ clusterScoped, name, namespace, resource }: Place): string {
  const { group, plural } = resource;
  const what = `${name === undefined ? 'list' : 'get'} ${plural}${group === '' ? '' : `.${group}`}`;
  if (namespace !== undefined) return `${what} in namespace ${namespace}`;
  return clusterScoped === true ? what : `${what} in all namespaces`;
}

export class Reader {
  readonly #transport: Transport;
  readonly #server: string;
  readonly #signal: AbortSignal;

  constructor(transport: Transport, server: string, signal: AbortSignal) {
    this.#transport = transport;
    this.#server = server;
    this.#signal = signal;
  }

  /** @throws CliError @param what completes the sentence "... is not there". */
  async get(path: string, what: string): Promise<unknown> {
    return await this.#request(path, {}).catch((error: unknown) => {
      throw faultOf(error, this.#server, what);
    });
  }

  /** @returns undefined where it may not be read. @throws CliError */
  async exists(path: string, what: string): Promise<boolean | undefined> {
    try {
      await this.#request(path, {});
      return true;
    } catch (error) {
      if (isStatus(error, 404)) return false;
      if (isStatus(error, 403)) return undefined;
      throw faultOf(error, this.#server, what);
    }
  }

  /** @param advice where the API server has no such collection. @throws CliError */
  async list<T>(
    path: string,
    what: string,
    decode: (object: unknown) => { readonly value: T },
    advice?: string,
  ): Promise<T[]> {
    try {
      return await this.#pages(path, {}, (object) => decode(object).value);
    } catch (error) {
      if (advice !== undefined && isStatus(error, 404)) throw new CliError('refused', `${what}: ${advice}`);
      throw faultOf(error, this.#server, what);
    }
  }

  /** @returns the value undefined where there is no such object, or no such kind. @throws CliError for all but a missing permission. */
  async find(place: Place & { readonly name: string }): Promise<Reading<unknown>> {
    const { name, namespace, resource } = place;
    return await this.#reading(place, undefined, () => this.#request(resourcePath(resource, namespace, name), {}));
  }

  /**
   * @param decode undefined: of no interest.
   * @returns nothing where there is no such kind. @throws CliError for all but a missing permission.
   */
  async all<T>(place: Place, decode: (object: unknown) => T | undefined): Promise<Reading<readonly T[]>> {
    const { labelSelector, namespace, resource } = place;
    const query = labelSelector === undefined ? {} : { labelSelector };
    return await this.#reading<readonly T[]>(place, [], () =>
      this.#pages(resourcePath(resource, namespace), query, decode),
    );
  }

  async #reading<T>(place: Place, nothing: T, read: () => Promise<T>): Promise<Reading<T>> {
    try {
      return { value: await read() };
    } catch (error) {
      if (isStatus(error, 404)) return { value: nothing };
      if (isStatus(error, 403)) return { missing: permissionFor(place) };
      throw faultOf(error, this.#server, place.resource.plural);
    }
  }

  async #pages<T>(
    path: string,
    query: Readonly<Record<string, string>>,
    decode: (object: unknown) => T | undefined,
  ): Promise<T[]> {
    const found: T[] = [];
    for (let next: string | undefined = ''; next !== undefined; ) {
      const page = listOutline.parse(
        await this.#request(path, { ...query, limit: '500', ...(next && { continue: next }) }),
      );
      for (const item of page.items) {
        const value = decode(item);
        if (value !== undefined) found.push(value);
      }
      next = page.metadata?.continue || undefined;
    }
    return found;
  }

  async #request(path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    const signal = this.#signal;
    return await this.#transport.request({ method: 'GET', path, query, deadlineMs: DEADLINE_MS, signal });
  }
}
