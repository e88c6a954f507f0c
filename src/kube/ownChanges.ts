/** Lets a store's subscriber tell what we put there ourselves, after a write, from news of the API server. Subscribers are called at once, so a flag will do. */
export class OwnChanges {
  #underWay = false;

  /** Whether the change that a subscriber is being told of is ours. */
  get underWay(): boolean {
    return this.#underWay;
  }

  /** Runs what changes a store by our own doing. */
  readonly quietly = (change: () => void): void => {
    const before = this.#underWay;
    this.#underWay = true;
    try {
      change();
    } finally {
      this.#underWay = before;
    }
  };
}
