/** The authority controller: what wakes it, and when every authority has been looked at for the first time. */
import { asRecord, createController, type Metrics, splitKey, WorkQueue } from '../kube/index.ts';
import { type AuthorityDependencies, createAuthorityReconciler } from './reconcile.ts';

export interface AuthorityControllerOptions extends AuthorityDependencies {
  readonly metrics: Metrics;
}

const LONGEST_RETRY = 30_000;

export class AuthorityController {
  readonly #options: AuthorityControllerOptions;
  readonly #queue: WorkQueue;
  readonly #unseen = new Set<string>();
  #allSeen: () => void = () => {};

  constructor(options: AuthorityControllerOptions) {
    const { authorities, caSecrets, clock, metrics } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'authority', clock, metrics, maxDelayMs: LONGEST_RETRY });
    authorities.subscribe(({ key }) => this.#queue.add(key));
    caSecrets.subscribe(({ key, before, after }) => {
      // A label that was edited may have taken the Secret from one and given it to another.
      const owners = [before, after].flatMap((record) => record?.generation?.authority ?? []);
      for (const owner of owners) this.#queue.add(owner);
      this.#wakeUsersOf(splitKey(key).name);
    });
  }

  /** Something that the authority's deletion or its rules hang on has changed. */
  wake(authority: string): void {
    if (this.#options.authorities.has(authority)) this.#queue.add(authority);
  }

  /**
   * Works until the signal aborts.
   * @param allSeen called once every authority that is there at the start has been looked at, whether or not that went well.
   */
  async run(signal: AbortSignal, allSeen: () => void): Promise<void> {
    const { authorities, clock, log, metrics } = this.#options;
    const reconcile = createAuthorityReconciler(this.#options);
    this.#allSeen = allSeen;
    for (const key of authorities.keys()) this.#unseen.add(key);
    for (const key of this.#unseen) this.#queue.add(key);
    if (this.#unseen.size === 0) allSeen();
    const controller = createController({
      name: 'authority',
      queue: this.#queue,
      workers: 4,
      clock,
      metrics,
      log,
      reconcile: async (key, grace) => {
        try {
          return await reconcile(key, grace);
        } finally {
          if (this.#unseen.delete(key) && this.#unseen.size === 0) this.#allSeen();
        }
      },
    });
    await controller.run(signal);
  }

  /** Series per authority, in Prometheus' text format. */
  *series(): Generator<string> {
    const name = 'mtls_operator_authority_expiration_timestamp_seconds';
    yield `# HELP ${name} When the CA certificate expires (notAfter), Unix time.\n# TYPE ${name} gauge\n`;
    for (const view of this.#options.catalogue.all()) {
      for (const { role, certificate } of view.certificates) {
        const labels = `{authority="${view.name}",role="${role}",fingerprint="${certificate.fingerprint}"}`;
        yield `${name}${labels} ${certificate.notAfter.getTime() / 1000}\n`;
      }
    }
    const renewal = 'mtls_operator_authority_renewal_timestamp_seconds';
    yield `# HELP ${renewal} When the issuing CA is due for renewal, Unix time.\n# TYPE ${renewal} gauge\n`;
    for (const view of this.#options.catalogue.all()) {
      if (view.renewalTime !== undefined) yield `${renewal}{authority="${view.name}"} ${view.renewalTime / 1000}\n`;
    }
    const ready = 'mtls_operator_authority_ready';
    yield `# HELP ${ready} Whether the authority can sign.\n# TYPE ${ready} gauge\n`;
    for (const view of this.#options.catalogue.all()) {
      yield `${ready}{authority="${view.name}"} ${view.issuer === undefined ? 0 : 1}\n`;
    }
  }

  /** A Secret without our labels may be one that an authority was told to use. */
  #wakeUsersOf(secretName: string): void {
    for (const [name, { object }] of this.#options.authorities.entries()) {
      const { provided } = asRecord(asRecord(object)['spec']);
      if (provided !== undefined && asRecord(provided)['secretName'] === secretName) this.#queue.add(name);
    }
  }
}
