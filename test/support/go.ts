import { accessSync, constants } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { arch, homedir, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { installPackages, mayInstallPackages } from './apt.ts';
import { CommandError, type CommandOptions, run } from './command.ts';
import { type Progress, withProgress } from './progress.ts';

/** A Go command that is new enough, and the environment to run it in. */
export interface Go {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
}

export type GoVersion = readonly [major: number, minor: number, patch: number];

/** Of `go1.26.8`, `1.26` or the answer of `go version`; undefined if there is none in it. */
export function parseGoVersion(text: string): GoVersion | undefined {
  const found = /(?:^|\bgo)(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  if (found === null) return undefined;
  return [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)];
}

export function isAtLeast(version: GoVersion, needed: GoVersion): boolean {
  for (const [index, part] of needed.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

/** What Go calls this platform: `linux-amd64`. */
export function goPlatform(): string {
  return `${platform()}-${arch() === 'x64' ? 'amd64' : arch()}`;
}

/**
 * Finds a Go that is at least `needed` (`1.26.0`). An older one fetches the right toolchain from the module proxy, checked against the checksum
 * database; where there is none at all, Debian's is installed if we may.
 * @throws with what to install.
 */
export async function findGo(needed: string, progress: Progress): Promise<Go> {
  const wanted = parseGoVersion(needed);
  if (wanted === undefined) throw new Error(`not a version of Go: ${needed}`);
  const found = await installedGo(wanted);
  if (found !== undefined) return resolveGo(found, wanted, progress);
  await installDebianGo(needed, progress);
  const installed = await installedGo(wanted);
  if (installed === undefined) throw new Error(adviceFor(needed, 'this machine has none'));
  return resolveGo(installed, wanted, progress);
}

interface InstalledGo {
  readonly command: string;
  readonly version: GoVersion;
}

// The first one that is new enough, else the newest.
async function installedGo(wanted: GoVersion): Promise<InstalledGo | undefined> {
  const name = platform() === 'win32' ? 'go.exe' : 'go';
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const usual = ['/usr/local/go/bin', '/usr/lib/go/bin', '/opt/homebrew/bin', join(homedir(), 'go', 'bin')];
  let best: InstalledGo | undefined;
  for (const command of new Set([...folders, ...usual].map((folder) => join(folder, name)))) {
    if (!isExecutable(command)) continue;
    const version = await versionOf(command);
    if (version === undefined) continue;
    if (isAtLeast(version, wanted)) return { command, version };
    if (best === undefined || isAtLeast(version, best.version)) best = { command, version };
  }
  return best;
}

async function versionOf(command: string): Promise<GoVersion | undefined> {
  try {
    // GOTOOLCHAIN=local: its own version, not that of a toolchain which it would fetch.
    return parseGoVersion((await run(command, ['version'], { cwd: '/', env: goEnvironment('local') })).stdout);
  } catch {
    return undefined; // a broken installation, or another program of that name
  }
}

async function resolveGo(found: InstalledGo, wanted: GoVersion, progress: Progress): Promise<Go> {
  if (isAtLeast(found.version, wanted)) return { command: found.command, env: goEnvironment('local') };
  const needed = wanted.join('.');
  const has = `this machine has Go ${found.version.join('.')}`;
  progress(`Go ${needed} is needed and ${has}: fetching the newer one from the Go module proxy`);
  try {
    // From 1.21 on Go does this by itself.
    if (isAtLeast(found.version, [1, 21, 0])) {
      const env = goEnvironment(`go${needed}`);
      await withProgress(progress, `Fetching Go ${needed}`, () => run(found.command, ['version'], { cwd: '/', env }));
      return { command: found.command, env };
    }
    return await fetchToolchain(found.command, needed, progress);
  } catch (error) {
    throw new Error(adviceFor(needed, has, error), { cause: error });
  }
}

const downloadSchema = z.object({ Dir: z.string() });

/** Gets a whole Go as the module that the module proxy offers it as: what Go 1.21 and later do, for a Go that is older. */
export async function fetchToolchain(oldGo: string, needed: string, progress: Progress): Promise<Go> {
  const module = `golang.org/toolchain@v0.0.1-go${needed}.${goPlatform()}`;
  const { stdout } = await withProgress(progress, `Fetching Go ${needed}`, () =>
    run(oldGo, ['mod', 'download', '-json', module], { cwd: '/', env: goEnvironment(undefined) }),
  );
  const root = downloadSchema.parse(JSON.parse(stdout)).Dir;
  // Files of a module are not executable; the Go command of 1.21 makes these so when it knows the module for a toolchain.
  for (const folder of ['bin', join('pkg', 'tool', goPlatform().replace('-', '_'))]) {
    for (const file of await readdir(join(root, folder))) await chmod(join(root, folder, file), 0o755);
  }
  const command = join(root, 'bin', 'go');
  const version = await versionOf(command);
  if (version === undefined) throw new Error(`${command} does not run`);
  return { command, env: goEnvironment('local') };
}

async function installDebianGo(needed: string, progress: Progress): Promise<void> {
  if (!mayInstallPackages()) return;
  progress(`Go ${needed} is needed and this machine has none: installing Debian's golang-go with apt-get`);
  await installPackages(['golang-go', 'ca-certificates'], progress).catch((error: unknown) => {
    throw new Error(adviceFor(needed, 'this machine has none, and apt-get could not install it', error), {
      cause: error,
    });
  });
}

function adviceFor(needed: string, why: string, tried?: unknown): string {
  return [
    `Go ${needed} or newer is needed to build programs for the tests, and ${why}.`,
    'Install it from https://go.dev/dl. Any Go from 1.16 on will do where the Go module proxy (proxy.golang.org, or GOPROXY) can be reached,',
    'as on Debian `apt-get install golang-go`: it fetches the right one by itself.',
    ...(tried instanceof Error ? [`What was tried: ${tried.message}`] : []),
  ].join('\n');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// Whatever the user's shell says about cross-compiling, workspaces or C compilers is about other projects.
function goEnvironment(toolchain: string | undefined): NodeJS.ProcessEnv {
  const { GOOS, GOARCH, GOROOT, GOTOOLCHAIN, GO111MODULE, GOFLAGS, ...rest } = process.env;
  const own = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-mod=readonly' };
  return { ...rest, ...own, ...(toolchain === undefined ? {} : { GOTOOLCHAIN: toolchain }) };
}

export interface GoBuild {
  /** The folder whose go.mod counts. */
  readonly directory: string;
  /** An import path or `.` */
  readonly package: string;
  /** For people: what is built. */
  readonly name: string;
  /** Where the program goes. Not atomic: build beside, then rename. */
  readonly output: string;
  /** Starts `go build`, for example so that it is watched. Default: as any child. */
  readonly launch?: CommandOptions['launch'];
  /** `-X` values for the linker. They cost a relink only, so they are not part of the build cache. */
  readonly values?: Readonly<Record<string, string>>;
}

/** Builds one Go program, and says every 10 s how far it is. Always the same flags, so that one build cache serves all. */
export async function goBuild(go: Go, build: GoBuild, progress: Progress): Promise<void> {
  const options = { cwd: build.directory, env: go.env };
  let fetched = 0;
  let compiled = 0;
  let stage = 'looking at the modules';
  const detail = () => stage + (fetched > 0 && compiled === 0 ? `, ${fetched} modules fetched` : '');
  const linker = ['-s', '-w', ...Object.entries(build.values ?? {}).map(([name, value]) => `-X ${name}=${value}`)].join(
    ' ',
  );
  const flags = ['-trimpath', '-ldflags', linker];
  await withProgress(
    progress,
    `Building ${build.name}`,
    async () => {
      const count = (line: string) => {
        if (line.startsWith('go: downloading ')) fetched++;
      };
      const stale = ['list', '-deps', '-trimpath', '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', build.package];
      const listed = await run(go.command, stale, { ...options, onErrorLine: count });
      const total = listed.stdout.split('\n').filter((line) => line !== '').length;
      stage = `${total} packages to compile`;
      const command = ['build', '-v', ...flags, '-o', build.output, build.package];
      await run(go.command, command, {
        ...options,
        launch: build.launch,
        onErrorLine: (line) => {
          count(line);
          if (!/^[\w.~/-]+$/.test(line)) return; // -v prints each package when its turn has come
          compiled++;
          stage = compiled < total ? `${compiled} of ${total} packages compiled` : 'linking';
        },
      });
    },
    { detail },
  ).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    const offline = /dial tcp|no such host|connection refused|i\/o timeout/.test(error.output);
    const advice = offline
      ? '\nIts modules could not be fetched: is the Go module proxy (proxy.golang.org, or GOPROXY) within reach?'
      : '';
    throw new Error(`Building ${build.name} failed.${advice}\n${error.message}`, { cause: error });
  });
}
