/**
 * Files in a directory that change all at once, laid out as Kubernetes lays out a mounted Secret: each name is a link to ..data/<name>, and ..data is a link to the
 * folder of one generation. Renaming ..data is the whole change, so that however a run ends (kill -9, a full disk, loss of power) a key never stands beside another's
 * certificate, which renaming file by file could not promise. Programs that know the layout resolve ..data once and read all files of one moment.
 */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CliError } from './end.ts';
import type { HostFile } from './material.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Permissions {
  /** Of files with a key. */
  readonly mode: number;
  /** Of the others. */
  readonly publicMode: number;
  /** Left out: whoever runs this. */
  readonly owner?: Owner | undefined;
}

const DATA = '..data';
/**
 * With the name of a generation at its end: the hook has not seen that change, or did not end well with it. One for each change, so that of several runs at the same time
 * none takes away another's.
 */
const HOOK_DUE = '..hook-due-';
const GENERATION = /^\.\.[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}$/;
/** Another run may be filling such a folder right now; later it has been left behind. */
const ABANDONED_MS = 60_000;

/** A directory for the files of one Secret. Every method @throws CliError notWritten. */
export class HostDirectory {
  readonly path: string;
  /** Where it really is, as `prepare` has found it: a link on the way there that changes later leads nowhere else. */
  #real: string;
  #prepared = false;

  constructor(path: string) {
    this.path = path;
    this.#real = path;
  }

  /** Whether `prepare` has found nothing against it. What lies in another directory is not even read: it may be a pipe that never ends. */
  get prepared(): boolean {
    return this.#prepared;
  }

  /**
   * Makes the directory where there is none. Nobody but us and root may be able to put files of their own into it, nor another folder in its place: they would choose the
   * key, and where root writes.
   */
  async prepare(): Promise<void> {
    this.#prepared = false;
    await this.#attempt('make the directory', () => makeFolder(this.path));
    const real = await this.#attempt('look at the directory', () => realpath(this.path));
    for (let folder = real; ; folder = dirname(folder)) {
      const stats = await this.#attempt(`look at ${folder}`, () => stat(folder));
      const weakness = weaknessOf(stats, folder !== real, process.geteuid?.() ?? 0);
      if (weakness !== undefined) throw this.#fault(`${folder} ${weakness} ${folder}`);
      if (folder === dirname(folder)) break;
    }
    this.#real = real;
    this.#prepared = true;
  }

  /** The folder of the present generation; undefined if there is none. Whoever replaces it says which one it was. */
  async current(): Promise<string | undefined> {
    return await this.#attempt('read ..data', () => readlink(this.#at(DATA)).catch(unlessMissing));
  }

  /** Content of a file of the present generation. */
  async read(name: string): Promise<Buffer | undefined> {
    return await this.#attempt(`read ${name}`, () => readFile(this.#at(DATA, name)).catch(unlessMissing));
  }

  /** Whether all of it is in place already, to the bit, with these permissions, and nothing more. */
  async holds(files: readonly HostFile[], permissions: Permissions): Promise<boolean> {
    return await this.#attempt('look at the files', async () => {
      const present = await readdir(this.#at(DATA)).catch(unlessMissing);
      if (present === undefined || present.sort().join('/') !== namesOf(files).sort().join('/')) return false;
      for (const { name, content, secret } of files) {
        const link = await readlink(this.#at(name)).catch(() => undefined);
        if (link !== `${DATA}/${name}`) return false;
        const path = this.#at(DATA, name);
        const stats = await lstat(path);
        if (!stats.isFile() || stats.size !== content.length || !isPermitted(stats, secret, permissions)) return false;
        if (!(await readFile(path)).equals(content)) return false;
      }
      return true;
    });
  }

  /**
   * Puts all of the files in place at one instant. @returns false if somebody else has changed the directory since `seen`: nothing was done then.
   * @param hook leaves word that a hook has to see the change
   */
  async replace(
    files: readonly HostFile[],
    permissions: Permissions,
    seen: string | undefined,
    hook: boolean,
  ): Promise<boolean> {
    await this.#refuseForeign(files);
    const generation = `..${timestamp()}-${randomBytes(6).toString('hex')}`;
    const made: string[] = [generation];
    try {
      return await this.#attempt('write the files', async () => {
        await this.#fill(generation, files, permissions);
        if ((await this.current()) !== seen) {
          await rm(this.#at(generation), { recursive: true, force: true });
          return false;
        }
        // Until ..data is there these links lead nowhere, as if the files were missing: all of them appear at once.
        for (const name of namesOf(files)) if (await this.#link(`${DATA}/${name}`, name)) made.push(name);
        // A hook that an earlier change waits for waits for this one, too, whoever makes it.
        if (hook || (await this.#markers()).length > 0) {
          made.push(markerOf(generation));
          await this.#markHook(generation);
        }
        const link = `${generation}.link`;
        made.push(link);
        await symlink(generation, this.#at(link));
        await rename(this.#at(link), this.#at(DATA));
        made.length = 0;
        await this.#sync();
        return true;
      });
    } catch (error) {
      // What was there is as it was. On a disk that is full even removing may fail: the next run removes the rest.
      for (const name of made) await rm(this.#at(name), { recursive: true, force: true }).catch(() => {});
      throw error;
    }
  }

  /** Removes earlier generations, and links to files that are no longer there. */
  async tidy(files: readonly HostFile[], now: number): Promise<void> {
    await this.#attempt('remove earlier files', async () => {
      const current = await this.current();
      for (const name of await readdir(this.#real)) {
        const path = this.#at(name);
        if (GENERATION.test(name.replace(/\.link$/, '')) || isMarker(name)) {
          if (name !== current && name !== markerOf(current) && (await isOlder(path, now - ABANDONED_MS)))
            await rm(path, { recursive: true, force: true });
        } else if (!namesOf(files).includes(name)) {
          const target = await readlink(path).catch(() => undefined);
          if (target === `${DATA}/${name}`) await unlink(path).catch(unlessMissing);
        }
      }
    });
  }

  /** The change that the hook has to see: for `hookHasRun`. Undefined if it has seen everything. Markers of other generations are of changes that are no more, or not yet. */
  async hookDue(): Promise<string | undefined> {
    const current = await this.current();
    return (await this.#markers()).find((name) => name === markerOf(current));
  }

  /** The hook has seen what was due; what has come meanwhile stays due. */
  async hookHasRun(due: string): Promise<void> {
    await this.#attempt(`remove ${due}`, () => unlink(this.#at(due)).catch(unlessMissing));
  }

  /** Files of others are never overwritten. */
  async #refuseForeign(files: readonly HostFile[]): Promise<void> {
    const foreign: string[] = [];
    for (const name of [DATA, ...namesOf(files)]) {
      const target = await this.#attempt(`look at ${name}`, () => this.#target(name));
      if (target === undefined) continue;
      if (name === DATA ? !GENERATION.test(target) : target !== `${DATA}/${name}`) foreign.push(name);
    }
    if (foreign.length > 0)
      throw this.#fault(`${foreign.join(', ')} came from somewhere else: move them away, or choose another directory`);
  }

  /** Where the link leads; '' if it is no link, undefined if it is not there. */
  async #target(name: string): Promise<string | undefined> {
    const stats = await lstat(this.#at(name)).catch(unlessMissing);
    if (stats === undefined || !stats.isSymbolicLink()) return stats && '';
    // Another run may remove it at this moment.
    return await readlink(this.#at(name)).catch(unlessMissing);
  }

  /** One generation, complete and on the disk before anything refers to it. */
  async #fill(generation: string, files: readonly HostFile[], permissions: Permissions): Promise<void> {
    const folder = this.#at(generation);
    await mkdir(folder, { mode: 0o700 });
    for (const { name, content, secret } of files) {
      const path = join(folder, name);
      const file = await open(path, NEW_FILE, 0o600);
      try {
        await file.writeFile(content);
        if (permissions.owner !== undefined) await file.chown(permissions.owner.uid, permissions.owner.gid);
        await file.chmod(modeFor(secret, permissions));
        await file.sync();
      } finally {
        await file.close();
      }
    }
    // The folder stays ours, whoever owns the files: its owner could put a link in place of each. Its mode is whatever the umask says until here.
    await chmod(folder, 0o755);
    await syncFolder(folder);
  }

  /** @returns whether the link was not there before. */
  async #link(target: string, name: string): Promise<boolean> {
    const present = (): Promise<string | undefined> => readlink(this.#at(name)).catch(() => undefined);
    if ((await present()) === target) return false;
    try {
      await symlink(target, this.#at(name));
      return true;
    } catch (error) {
      // Another run was faster.
      if ((await present()) === target) return false;
      throw error;
    }
  }

  async #markHook(generation: string): Promise<void> {
    const file = await open(this.#at(markerOf(generation)), NEW_FILE, 0o600);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #markers(): Promise<string[]> {
    return await this.#attempt('read the directory', async () => (await readdir(this.#real)).filter(isMarker));
  }

  async #sync(): Promise<void> {
    await syncFolder(this.#real);
  }

  async #attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof CliError) throw error;
      // Messages of the file system hold paths, never content.
      throw this.#fault(`cannot ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #fault(problem: string): CliError {
    return new CliError('notWritten', `${this.path}: ${problem}`);
  }

  #at(...parts: readonly string[]): string {
    return join(this.#real, ...parts);
  }
}

/**
 * Makes a folder and what is missing above it. Not by mkdir's `recursive`: where a file system makes no folders, as /proc, that goes on for ever, and where one
 * is read-only it says that the folder above is missing.
 */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdirUnlessThere(path);
  } catch (error) {
    const above = dirname(path);
    if (!hasCode(error, 'ENOENT') || above === path || (await isFolder(above))) throw error;
    await makeFolder(above);
    await mkdirUnlessThere(path);
  }
}

async function mkdirUnlessThere(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || !(await isFolder(path))) throw error;
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );

/** Never follows a link that somebody has left there. */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

const markerOf = (generation: string | undefined): string => `${HOOK_DUE}${generation?.slice(2)}`;

const isMarker = (name: string): boolean =>
  name.startsWith(HOOK_DUE) && GENERATION.test(`..${name.slice(HOOK_DUE.length)}`);

/**
 * Who else may change what is in a folder, and what to do about it, as the beginning of a sentence that ends with the folder; undefined if it is root and `we` alone.
 * In a folder above with the sticky bit, as /tmp has it, others may make files and cannot touch ours.
 */
export function weaknessOf({ uid, mode }: Pick<Stats, 'uid' | 'mode'>, above: boolean, we: number): string | undefined {
  if (uid !== 0 && uid !== we) return `belongs to the user ${uid}, who may put another key in place: chown ${we}`;
  if ((mode & 0o022) === 0 || (above && (mode & 0o1000) !== 0)) return undefined;
  const [who, change] = (mode & 0o002) !== 0 ? ['everybody', 'go-w'] : ['its group', 'g-w'];
  return `may be written to by ${who}, who may put another key in place: chmod ${change}`;
}

const namesOf = (files: readonly HostFile[]): string[] => files.map(({ name }) => name);

const modeFor = (secret: boolean, { mode, publicMode }: Permissions): number => (secret ? mode : publicMode);

function isPermitted(stats: Stats, secret: boolean, permissions: Permissions): boolean {
  const { owner } = permissions;
  if ((stats.mode & 0o7777) !== modeFor(secret, permissions)) return false;
  return owner === undefined || (stats.uid === owner.uid && stats.gid === owner.gid);
}

async function isOlder(path: string, than: number): Promise<boolean> {
  const stats = await lstat(path).catch(unlessMissing);
  return stats !== undefined && stats.mtimeMs < than;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** For people who look; the random part makes it unique. */
const timestamp = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '');

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (hasCode(error, 'ENOENT')) return undefined;
  throw error;
}
