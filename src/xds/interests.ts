/** Who has to be told when something changes: by what each client has asked for, so that a change costs as much as it concerns, however many clients there are. Pure. */

export class Interests<Client> {
  readonly #subjectOf: (name: string) => string | undefined;
  readonly #clients = new Map<string, Set<Client>>();
  readonly #names = new Map<string, Set<string>>();

  /** @param subjectOf what a name is about: changes are told by that. undefined: nothing that changes is told by it. */
  constructor(subjectOf: (name: string) => string | undefined) {
    this.#subjectOf = subjectOf;
  }

  /** How many names somebody is interested in. */
  get size(): number {
    return this.#clients.size;
  }

  add(client: Client, name: string): void {
    const clients = this.#clients.get(name);
    if (clients !== undefined) {
      clients.add(client);
      return;
    }
    const subject = this.#subjectOf(name);
    if (subject === undefined) return;
    this.#clients.set(name, new Set([client]));
    const names = this.#names.get(subject);
    if (names === undefined) this.#names.set(subject, new Set([name]));
    else names.add(name);
  }

  delete(client: Client, name: string): void {
    const clients = this.#clients.get(name);
    if (clients?.delete(client) !== true || clients.size > 0) return;
    this.#clients.delete(name);
    const subject = this.#subjectOf(name);
    const names = subject === undefined ? undefined : this.#names.get(subject);
    names?.delete(name);
    if (subject !== undefined && names?.size === 0) this.#names.delete(subject);
  }

  /** Names of which something else may be told now, by client. */
  concerned(subjects: Iterable<string>): Map<Client, string[]> {
    const found = new Map<Client, string[]>();
    for (const subject of subjects) {
      for (const name of this.#names.get(subject) ?? []) {
        for (const client of this.#clients.get(name) ?? []) {
          const names = found.get(client);
          if (names === undefined) found.set(client, [name]);
          else names.push(name);
        }
      }
    }
    return found;
  }
}
