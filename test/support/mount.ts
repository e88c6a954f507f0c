/** What the kubelet does for a pod that mounts a Secret, for programs that run without one. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  asRecord,
  asString,
  createMetrics,
  createReflector,
  createTransport,
  loadConnection,
  type Resource,
  Store,
  silentLog,
  stringMap,
  systemClock,
} from '../../src/kube/index.ts';

const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets' };

export interface MountOptions {
  /** Whose rights are used to watch the Secret. */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly secretName: string;
  /** Made if it is missing. */
  readonly directory: string;
  /** Gives up after this many milliseconds if the Secret does not come to be (default 30,000). */
  readonly timeoutMs?: number;
  /** Who may read the files. Default: this process's user only. */
  readonly access?: Access;
}

/** `fsGroup` and `defaultMode` of a volume: files and directories stay ours, and a group may read them. */
export interface Access {
  readonly group: number;
  readonly fileMode: number;
}

export interface Mount extends AsyncDisposable {
  readonly directory: string;
  /** How often other contents were put in place, the first ones included. */
  readonly changes: number;
  /** Stops following the Secret; the files stay. */
  stop(): Promise<void>;
}

/**
 * Mirrors a Secret into a directory until `stop`, and resolves when it has done so for the first time. Where a kubelet looks about each minute, this watches:
 * a change is there within milliseconds. A Secret that is deleted leaves the files in place, as for a running pod.
 * @throws when the Secret is not there in time.
 */
export async function mountSecret(options: MountOptions): Promise<Mount> {
  const { namespace, secretName, directory, timeoutMs = 30_000, access } = options;
  const base = {
    clock: systemClock,
    random: Math.random,
    metrics: createMetrics({ process: false }),
    log: silentLog, // what goes wrong here is mended by trying again, and Secrets are no matter for logs
  };
  const connection = await loadConnection({ kubeconfig: options.kubeconfig });
  const transport = createTransport({ ...base, connection, userAgent: 'mtls-operator-test-mount' });
  const store = new Store<SecretFiles>();
  const reflector = createReflector({
    ...base,
    name: 'mount',
    transport,
    resource: SECRETS,
    namespaces: [namespace],
    fieldSelector: `metadata.name=${secretName}`,
    decode: decodeSecret,
    store,
  });
  const stopping = new AbortController();
  let changes = 0;
  let failure: unknown;
  const mounted = new Promise<void>((resolve, reject) => {
    store.subscribe(({ after }) => {
      if (after === undefined) return;
      try {
        if (writeAtomically(directory, after.files, access)) changes++;
        resolve();
      } catch (error) {
        failure ??= error;
        reject(error);
      }
    });
  });
  const running = reflector.run(stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
    await transport.close();
    if (failure !== undefined) throw failure;
  };
  const outOfTime = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`waited ${timeoutMs / 1000} s for Secret "${secretName}" in namespace "${namespace}"`)),
      timeoutMs,
    );
    timer.unref();
    void mounted.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
  });
  try {
    await Promise.race([mounted, outOfTime]);
  } catch (error) {
    failure = undefined;
    await stop();
    throw error;
  }
  return {
    directory,
    get changes() {
      return changes;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface SecretFiles {
  readonly resourceVersion: string;
  readonly files: ReadonlyMap<string, Buffer>;
}

function decodeSecret(object: unknown): { key: string; value: SecretFiles } {
  const secret = asRecord(object);
  const metadata = asRecord(secret['metadata']);
  const files = new Map(
    Object.entries(stringMap(secret['data'])).map(([name, text]) => [name, Buffer.from(text, 'base64')]),
  );
  return {
    key: `${asString(metadata['namespace'])}/${asString(metadata['name'])}`,
    value: { resourceVersion: asString(metadata['resourceVersion']), files },
  };
}

/**
 * Puts files into a directory as the kubelet's atomic writer does (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go): a new directory
 * `..<time>.<random>` takes them, the link `..data` is swapped to it by a rename, links beside it lead through `..data`, and only then the old
 * directory goes. A reader sees all files of one version or all of another. Files have mode 0600, unless `access` says otherwise.
 * @returns false if they were there already: then nothing is touched
 */
export function writeAtomically(directory: string, files: ReadonlyMap<string, Buffer>, access?: Access): boolean {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const data = join(directory, '..data');
  const before = isLink(data) ? join(dirname(data), readlinkSync(data)) : undefined;
  if (before !== undefined && holds(before, files)) return false;
  const time = new Date().toISOString().slice(0, 19).replace(/[-:T]/g, '_');
  const fresh = mkdtempSync(join(directory, `..${time}.`));
  for (const [name, content] of files) writeFileSync(join(fresh, name), content, { mode: 0o600 });
  if (access !== undefined) giveAccess(directory, fresh, [...files.keys()], access);
  const link = join(directory, `..data_tmp_${randomBytes(4).toString('hex')}`);
  symlinkSync(fresh.slice(directory.length + 1), link);
  renameSync(link, data);
  const visible = readdirSync(directory).filter((name) => !name.startsWith('..'));
  for (const name of files.keys())
    if (!visible.includes(name)) symlinkSync(join('..data', name), join(directory, name));
  for (const name of visible) if (!files.has(name)) rmSync(join(directory, name));
  if (before !== undefined) rmSync(before, { recursive: true });
  return true;
}

function giveAccess(directory: string, fresh: string, names: readonly string[], { group, fileMode }: Access): void {
  const uid = process.getuid?.() ?? -1;
  const give = (path: string, mode: number): void => {
    chownSync(path, uid, group);
    chmodSync(path, mode); // after chown, and whatever the umask
  };
  for (const name of names) give(join(fresh, name), fileMode);
  for (const path of [fresh, directory]) give(path, 0o750);
}

function holds(directory: string, files: ReadonlyMap<string, Buffer>): boolean {
  const names = readdirSync(directory);
  if (names.length !== files.size) return false;
  return names.every((name) => files.get(name)?.equals(readFileSync(join(directory, name))) ?? false);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}
