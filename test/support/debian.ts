/** Programs of Debian packages, for tests of what users run. */
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { join, relative } from 'node:path';
import { keyedDirectory } from './cache.ts';
import { CommandError, run } from './command.ts';
import { withLock } from './lock.ts';
import { noProgress, type Progress, withProgress } from './progress.ts';

/** Where programs are, and the environment that they need there. */
export interface Programs {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** Below which all that belongs to them lies, if that is not the system. */
  readonly root?: string;
}

/** The same for a user who cannot look into our cache: copied into a directory, if need be. */
export function copiedInto(target: string, programs: Programs): Programs {
  const { root } = programs;
  if (root === undefined) return programs;
  cpSync(root, target, { recursive: true, verbatimSymlinks: true });
  return unpackedPrograms(target, join(target, relative(root, programs.directory)));
}

/** A real nginx: the machine's own, else Debian's. */
export async function findNginx(progress: Progress = noProgress): Promise<Programs> {
  return await findPrograms({ package: 'nginx-light', folders: 'usr/sbin', program: 'nginx' }, progress);
}

/** PostgreSQL's server and its psql: the machine's own, else Debian's. */
export async function findPostgres(progress: Progress = noProgress): Promise<Programs> {
  return await findPrograms(
    { package: 'postgresql', folders: 'usr/lib/postgresql/*/bin', program: 'postgres' },
    progress,
  );
}

/** tcpdump, which hears what is on a wire: the machine's own, else Debian's. */
export async function findTcpdump(progress: Progress = noProgress): Promise<Programs> {
  return await findPrograms({ package: 'tcpdump', folders: 'usr/bin', program: 'tcpdump' }, progress);
}

interface Wanted {
  readonly package: string;
  /** Pattern below the root. */
  readonly folders: string;
  readonly program: string;
}

async function findPrograms(wanted: Wanted, progress: Progress): Promise<Programs> {
  const installed = lookBelow('/', wanted);
  if (installed !== undefined) return { directory: installed, env: process.env };
  const root = await unpack(wanted.package, progress);
  const directory = lookBelow(root, wanted);
  if (directory === undefined)
    throw new Error(`Debian's ${wanted.package} has no ${wanted.program} in ${wanted.folders}`);
  return unpackedPrograms(root, directory);
}

function unpackedPrograms(root: string, directory: string): Programs {
  const libraries = globSync(['usr/lib/*-linux-*', 'lib/*-linux-*'], { cwd: root }).map((folder) => join(root, folder));
  const found = libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') };
  return { root, directory, env: { ...process.env, ...found } };
}

function lookBelow(root: string, { folders, program }: Wanted): string | undefined {
  const found = globSync(join(folders, program), { cwd: root });
  const file = found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1); // the newest version
  return file === undefined ? undefined : join(root, file, '..');
}

/**
 * Unpacks a package, and of its dependencies those that the machine lacks, into the cache and not into the system: no service is set up, nothing is started,
 * and no root is needed where apt knows the package.
 */
async function unpack(name: string, progress: Progress): Promise<string> {
  const cache = keyedDirectory('debian', name, [name, arch(), existingText('/etc/debian_version')]);
  const root = join(cache, 'root');
  if (existsSync(root)) return root;
  await withLock(join(cache, 'lock'), `fetching ${name}`, progress, async () => {
    if (existsSync(root)) return;
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      await withProgress(progress, `Fetching Debian's ${name}`, async () => {
        const packages = await missingPackages(name);
        await run('apt-get', ['download', '-q', ...packages], { cwd: work });
        mkdirSync(join(work, 'root'));
        for (const file of globSync('*.deb', { cwd: work })) {
          await run('dpkg-deb', ['--extract', join(work, file), join(work, 'root')]);
        }
      });
      renameSync(join(work, 'root'), root); // whole or not at all
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new Error(`${name} is needed and could not be fetched from Debian: install it`, { cause: error });
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return root;
}

/** The package and what it depends on, as far as it is not installed. */
async function missingPackages(name: string): Promise<string[]> {
  const simulate = async (): Promise<string[]> => {
    const { stdout } = await run('apt-get', ['install', '-q', '--simulate', '--no-install-recommends', name]);
    return [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, found]) => found ?? '');
  };
  try {
    return await simulate();
  } catch (error) {
    // A fresh machine has no list of packages yet.
    if (!(error instanceof CommandError) || error.code === -1 || process.getuid?.() !== 0) throw error;
    await run('apt-get', ['update', '-q']);
    return await simulate();
  }
}

function existingText(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
