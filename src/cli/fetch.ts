/**
 * `mtls-operator fetch`: brings the files of one Secret to a host outside of the cluster, and keeps them fresh there. Whatever goes wrong, the last good files stay.
 */
import {
  type Clock,
  type Connection,
  createMetrics,
  createTransport,
  type Log,
  loadConnection,
  messageOf,
  proxyFor,
  silentLog,
  systemClock,
  tokenFileSource,
  withSignals,
} from '../kube/index.ts';
import { parseCertificates } from '../pki/index.ts';
import { CliError, exitCodes } from './end.ts';
import { type Access, type FetchOptions, fetchUsage, parseFetchFlags } from './fetchFlags.ts';
import { type Hook, HookError, hookPauseAfter, runHook } from './hook.ts';
import { HostDirectory } from './install.ts';
import { type HostFile, type Material, materialOf } from './material.ts';
import { SecretSource, untilNextLook } from './secretSource.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns the exit code: see `exitCodes`. */
export async function fetchMain(args: readonly string[], env: Environment, version: string): Promise<number> {
  try {
    const options = parseFetchFlags(args);
    if (options === 'help') {
      process.stdout.write(fetchUsage);
      return exitCodes.done;
    }
    return await follow(options, env, version);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    say(process.stderr, error.message);
    return exitCodes[error.fault];
  }
}

async function follow(options: FetchOptions, env: Environment, version: string): Promise<number> {
  const signal = withSignals();
  const connection = await connect(options.access, env);
  const namespace = options.namespace ?? connection.namespace;
  if (namespace === undefined) throw new CliError('usage', '--namespace is missing, and the kubeconfig names none');
  const transport = createTransport({
    connection,
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics({ process: false }),
    log: transportLog,
    userAgent: `mtls-operator-fetch/${version}`,
    maxConnections: 1,
    maxAnswerBytes: MAX_SECRET_BYTES,
  });
  const source = new SecretSource(transport, connection.server, namespace, options.secret);
  const run = new Fetch(options, source, systemClock);
  try {
    if (!options.watch) return await run.once(signal);
    await run.always(signal);
    return exitCodes.done;
  } finally {
    await transport.close();
  }
}

/** A Secret has at most 1 MiB, in base64. */
const MAX_SECRET_BYTES = 8 * 1024 * 1024;

/** What the transport has to say of refused credentials stands in the error, too. */
const transportLog: Log = silentLog;

async function connect(access: Access, env: Environment): Promise<Connection> {
  try {
    if ('server' in access) {
      const { server } = access;
      return tokenFileSource({ ...access, proxyUrl: proxyFor(server, env), source: '--server' });
    }
    return await loadConnection({ ...access, env });
  } catch (error) {
    throw new CliError('usage', messageOf(error));
  }
}

class Fetch {
  readonly #options: FetchOptions;
  readonly #source: SecretSource;
  readonly #clock: Clock;
  readonly #directory: HostDirectory;
  #said = '';
  /** The change with which the hook has failed, how often in a row, and when it may run again for it. */
  #failed:
    | { readonly due: string; readonly error: HookError; readonly times: number; readonly again: number }
    | undefined;

  constructor(options: FetchOptions, source: SecretSource, clock: Clock) {
    this.#options = options;
    this.#source = source;
    this.#clock = clock;
    this.#directory = new HostDirectory(options.out);
  }

  /** @returns the exit code of one run. */
  async once(signal: AbortSignal): Promise<number> {
    this.#source.forget();
    try {
      this.#tell(process.stdout, await this.#bring(signal));
      return exitCodes.done;
    } catch (error) {
      if (error instanceof CliError) {
        this.#tell(process.stderr, await this.#withRest(error));
        return exitCodes[error.fault];
      }
      if (!signal.aborted) throw error;
      this.#tell(process.stderr, await this.#withRest(new CliError('interrupted', 'interrupted')));
      return exitCodes.interrupted;
    }
  }

  /** Runs again and again until the signal aborts. */
  async always(signal: AbortSignal): Promise<void> {
    let mayWatch = true;
    let failures = 0;
    while (!signal.aborted) {
      await this.once(signal);
      const { intervalMs } = this.#options;
      const waiting = { source: this.#source, clock: this.#clock, intervalMs, failures, signal };
      try {
        const waited = await untilNextLook(waiting);
        const { permitted } = waited;
        failures = waited.failures;
        if (mayWatch && !permitted)
          say(process.stdout, `${this.#source.where} may not be watched: it is read every ${intervalMs / 1000} s`);
        mayWatch = permitted;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async #bring(signal: AbortSignal): Promise<string> {
    const { permissions, hook } = this.#options;
    const directory = this.#directory;
    await directory.prepare();
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const seen = await directory.current();
      const material = await this.#read(signal);
      const { files } = material;
      let written = false;
      if (!(await directory.holds(files, permissions))) {
        written = await directory.replace(files, permissions, seen, hook !== undefined);
        if (!written) continue;
      }
      const due = hook === undefined ? undefined : await directory.hookDue();
      if (hook !== undefined && due !== undefined) {
        await this.#runHook(hook, due, signal);
        await directory.hookHasRun(due);
      }
      await directory.tidy(files, this.#clock.now());
      return `${written ? 'wrote' : 'unchanged:'} ${describe(files, directory.path, material)}`;
    }
    throw new CliError('notWritten', `${directory.path}: others change it at the same time; run only one fetch for it`);
  }

  async #runHook(hook: Hook, due: string, signal: AbortSignal): Promise<void> {
    const failed = this.#failed?.due === due ? this.#failed : undefined;
    if (failed !== undefined && this.#clock.monotonic() < failed.again) throw failed.error;
    try {
      await runHook(hook, this.#directory.path, signal);
      this.#failed = undefined;
    } catch (error) {
      if (error instanceof HookError) {
        const times = (failed?.times ?? 0) + 1;
        const again = this.#clock.monotonic() + hookPauseAfter(times, this.#options.intervalMs);
        this.#failed = { due, error, times, again };
      }
      throw error;
    }
  }

  async #read(signal: AbortSignal): Promise<Material> {
    const { files, timeoutMs } = this.#options;
    const secret = await this.#source.get(timeoutMs, signal);
    return materialOf(secret, this.#source.where, files, new Date(this.#clock.now()));
  }

  /** The error, and what is in place now. */
  async #withRest(error: CliError): Promise<string> {
    const { fault, message } = error;
    if (error instanceof HookError || !this.#directory.prepared) return message;
    const { path } = this.#directory;
    const validity = await this.#validity();
    if (validity === undefined) return `${message}; there is no certificate in ${path}`;
    // Where writing failed, it may have been in the tidying that follows the change.
    const how = fault === 'notWritten' ? 'belong together' : 'stay as they were';
    return `${message}; the files in ${path} ${how}: their certificate ${validity}`;
  }

  /** Of the certificate in place; undefined if there is none. */
  async #validity(): Promise<string | undefined> {
    for (const name of ['tls.crt', 'cert.pem']) {
      try {
        const pem = await this.#directory.read(name);
        const [leaf] = pem === undefined ? [] : parseCertificates(pem.toString('utf8'));
        if (leaf === undefined) continue;
        const expired = leaf.notAfter.getTime() < this.#clock.now();
        return `${expired ? 'HAS EXPIRED at' : 'is valid until'} ${leaf.notAfter.toISOString()}`;
      } catch {
        // Whatever is there, we did not touch it.
      }
    }
    return undefined;
  }

  /** The same news, look after look, is no news. */
  #tell(stream: NodeJS.WritableStream, text: string): void {
    const same = text.replace(/^wrote|^unchanged:/, '');
    if (same !== this.#said) say(stream, text);
    this.#said = same;
  }
}

/** Somebody else was faster: then what they wrote is looked at. */
const MOST_ATTEMPTS = 5;

function describe(files: readonly HostFile[], directory: string, { leaf }: Material): string {
  const names = files.map(({ name }) => name).join(', ');
  return `${names} in ${directory}: certificate ${leaf.serialNumber}, valid until ${leaf.notAfter.toISOString()}`;
}

function say(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`mtls-operator fetch: ${text}\n`);
}
