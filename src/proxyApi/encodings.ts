/**
 * Resources encoded once for all proxies that have the same: by what they were rendered from. What nobody asked for in a while is forgotten, so that content that comes and goes does not
 * gather for ever.
 */
import type { TypedMessage } from '../envoy/index.ts';
import { encodeResource, type Resource } from '../xds/index.ts';

/** Two generations of at most so many. */
const MOST = 20_000;

export class Encodings {
  #young = new Map<string, Resource>();
  #old = new Map<string, Resource>();

  /** How many are held. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** @param source everything that the message depends on, its name and its type included. */
  resource(name: string, source: string, render: () => TypedMessage): Resource {
    const found = this.#young.get(source);
    if (found !== undefined) return found;
    const resource = this.#old.get(source) ?? encodeResource(name, render());
    if (this.#young.size >= MOST) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(source, resource);
    return resource;
  }
}
