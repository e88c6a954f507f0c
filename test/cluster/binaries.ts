import { accessSync, constants, existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { isIntact, keyedDirectory, putIntoCache } from '../support/cache.ts';
import { run } from '../support/command.ts';
import { findGo, goBuild, goPlatform } from '../support/go.ts';
import { withLock } from '../support/lock.ts';
import type { Progress } from '../support/progress.ts';
import { type EnvtestProgram, envtestPrograms, fetchEnvtest } from './envtest.ts';
import { type GuardedDirectory, makeGuardedDirectory } from './guardian.ts';
import {
  type KubernetesVersion,
  moduleDirectory,
  oldestModuleDirectory,
  readOldestVersion,
  readVersions,
} from './versions.ts';

/** Absolute paths. */
export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubectl: string;
}

/** What Kubernetes brings for a cluster with a node; absolute paths. */
export interface NodeBinaries {
  readonly kubelet: string;
  readonly kubeProxy: string;
  readonly kubeScheduler: string;
}

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
} as const;

type Program = keyof typeof packages;

export interface FindOptions {
  /** Compare the digests of cached programs too (a second or two), not only their size and time. */
  readonly verify?: boolean;
  /** Where names of binaries are looked up (default process.env). */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Finds each program in this order: TEST_ASSET_*; KUBEBUILDER_ASSETS; for kubectl the machine's own, if its version suits the server; our cache; the
 * release archive; a Go build. What the last two bring goes into the cache. Several processes may call this at once: one builds, the others wait.
 */
export async function findOrBuildBinaries(progress: Progress, options: FindOptions = {}): Promise<Binaries> {
  const path = await findOrBuild(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'], progress, options);
  return {
    etcd: path('etcd'),
    kubeApiserver: path('kube-apiserver'),
    kubeControllerManager: path('kube-controller-manager'),
    kubectl: path('kubectl'),
  };
}

/** As `findOrBuildBinaries`, for what a node needs besides. */
export async function findOrBuildNodeBinaries(progress: Progress, options: FindOptions = {}): Promise<NodeBinaries> {
  const path = await findOrBuild(['kubelet', 'kube-proxy', 'kube-scheduler'], progress, options);
  return { kubelet: path('kubelet'), kubeProxy: path('kube-proxy'), kubeScheduler: path('kube-scheduler') };
}

/** kube-apiserver of the oldest Kubernetes that is supported: from our cache, the release archive or a Go build. Variables are about the newest. */
export async function findOrBuildOldestApiServer(progress: Progress): Promise<string> {
  const version = readOldestVersion();
  const source = { directory: oldestModuleDirectory, label: `kubernetes-${version.kubernetes}`, version };
  const built = await fromCache(['kube-apiserver'], source, false, progress);
  return programIn(built, 'kube-apiserver');
}

/** Where programs of one version of Kubernetes come from. */
interface Source {
  /** The folder whose go.mod pins it. */
  readonly directory: string;
  /** For people who look into the cache. */
  readonly label: string;
  readonly version: KubernetesVersion;
}

async function findOrBuild(
  programs: readonly Program[],
  progress: Progress,
  options: FindOptions,
): Promise<(program: Program) => string> {
  const { env = process.env, verify = false } = options;
  const versions = readVersions();
  const given = new Map<Program, string>();
  for (const program of programs) {
    const path = programFromEnvironment(program, env);
    if (path !== undefined) given.set(program, path);
  }
  if (programs.includes('kubectl') && !given.has('kubectl')) {
    const own = await machineKubectl(versions.kubernetes, env['PATH'] ?? '');
    if (own !== undefined) given.set('kubectl', own);
  }
  const wanted = programs.filter((program) => !given.has(program));
  const label = `kubernetes-${versions.kubernetes}-etcd-${versions.etcd}`;
  const source = { directory: moduleDirectory, label, version: versions };
  const cached = wanted.length === 0 ? new Map<Program, string>() : await fromCache(wanted, source, verify, progress);
  return (program) => programIn(new Map([...cached, ...given]), program);
}

function programIn(found: ReadonlyMap<Program, string>, program: Program): string {
  const path = found.get(program);
  if (path === undefined) throw new Error(`${program} was neither found nor built`);
  return path;
}

/** @throws if a variable names something that is not there: silently building instead would hide the mistake. */
export function programFromEnvironment(
  program: Program,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const variable = `TEST_ASSET_${program.toUpperCase().replaceAll('-', '_')}`;
  const named = env[variable];
  if (named !== undefined && named !== '') {
    if (!isExecutable(named)) throw new Error(`${variable} is ${named}, which is not a program that can be run`);
    return named;
  }
  const folder = env['KUBEBUILDER_ASSETS'];
  if (folder === undefined || folder === '') return undefined;
  if (!existsSync(folder)) throw new Error(`KUBEBUILDER_ASSETS is ${folder}, which does not exist`);
  const inFolder = join(folder, program);
  return isExecutable(inFolder) ? inFolder : undefined; // an envtest folder has no kube-controller-manager
}

const kubectlVersionSchema = z.object({ clientVersion: z.object({ gitVersion: z.string() }) });

/** The machine's kubectl, if Kubernetes supports it against a server of this version: at most one minor version apart. */
async function machineKubectl(server: string, path: string): Promise<string | undefined> {
  const command = path
    .split(delimiter)
    .map((folder) => join(folder, 'kubectl'))
    .find(isExecutable);
  if (command === undefined) return undefined;
  try {
    const { stdout } = await run(command, ['version', '--client', '-o', 'json']);
    const own = kubectlVersionSchema.parse(JSON.parse(stdout)).clientVersion.gitVersion;
    return suitsServer(own, server) ? command : undefined;
  } catch {
    return undefined;
  }
}

/** Kubernetes' version skew policy for kubectl. */
export function suitsServer(kubectl: string, server: string): boolean {
  const parse = (version: string) => /^v?(\d+)\.(\d+)/.exec(version);
  const own = parse(kubectl);
  const its = parse(server);
  return own !== null && its !== null && own[1] === its[1] && Math.abs(Number(own[2]) - Number(its[2])) <= 1;
}

async function fromCache(
  wanted: readonly Program[],
  source: Source,
  verify: boolean,
  progress: Progress,
): Promise<Map<Program, string>> {
  const pins = ['go.mod', 'go.sum'].map((file) => readFileSync(join(source.directory, file)));
  const directory = keyedDirectory('control-plane', `${source.label}-${goPlatform()}`, [
    ...pins,
    JSON.stringify(linkerValues(source.version.kubernetes, '')),
  ]);
  const file = (program: Program) => join(directory, program);
  const missing = async () => {
    const intact = await Promise.all(wanted.map((program) => isIntact(file(program), verify)));
    return wanted.filter((_, index) => intact[index] === false);
  };
  const missingNow = await missing();
  if (missingNow.length > 0) {
    for (const program of missingNow) {
      if (existsSync(file(program))) progress(`${file(program)} is not as it was put into the cache: it is replaced`);
    }
    await withLock(join(directory, 'lock'), 'building Kubernetes', progress, async () => {
      const left = await missing(); // whoever held the lock before us may have built them
      if (left.length > 0) await produce(left, directory, source, progress);
    });
  }
  return new Map(wanted.map((program) => [program, file(program)]));
}

const workPrefix = 'making-';

// Works in a folder beside the results (renaming is atomic only within a file system), which goes even if we are killed.
async function produce(
  missing: readonly Program[],
  directory: string,
  source: Source,
  progress: Progress,
): Promise<void> {
  // A machine that was switched off, or a container that was removed, leaves such a folder: nobody else makes one while we hold the lock.
  for (const left of globSync(`${workPrefix}*`, { cwd: directory })) {
    rmSync(join(directory, left), { recursive: true, force: true });
  }
  const work = await makeGuardedDirectory(directory, workPrefix);
  try {
    const left = new Set(missing);
    const inArchive = envtestPrograms.filter((program: EnvtestProgram) => left.has(program));
    const archive =
      inArchive.length === 0 ? undefined : await fetchEnvtest(source.version.kubernetes, work.path, progress);
    for (const program of archive === undefined ? [] : inArchive) {
      const path = archive?.[program];
      if (path === undefined) continue;
      await putIntoCache(path, join(directory, program), 'envtest');
      left.delete(program);
    }
    if (left.size > 0) await buildWithGo([...left], work, directory, source, progress);
  } finally {
    await work.remove();
  }
}

async function buildWithGo(
  left: readonly Program[],
  work: GuardedDirectory,
  directory: string,
  source: Source,
  progress: Progress,
): Promise<void> {
  const { go: neededGo, kubernetes } = source.version;
  const go = await findGo(neededGo, progress);
  progress(
    `Building ${left.join(', ')} of Kubernetes ${kubernetes} from Go modules: once, some minutes each on two cores when nothing is cached`,
  );
  const info = await run(go.command, ['list', '-m', '-json', 'k8s.io/kubernetes'], {
    cwd: source.directory,
    env: go.env,
  });
  const released = z.object({ Time: z.string() }).parse(JSON.parse(info.stdout)).Time;
  for (const program of left) {
    const output = join(work.path, program);
    const values = program === 'etcd' ? {} : linkerValues(kubernetes, released);
    const build = {
      directory: source.directory,
      package: packages[program],
      name: program,
      output,
      values,
      launch: work.launch,
    };
    await goBuild(go, build, progress);
    await putIntoCache(output, join(directory, program), 'go');
  }
}

// What Kubernetes' own build scripts set. A module carries no commit, so like a build from a source archive it says `archive`; the date is the
// release's, so that the same modules give the same programs.
export function linkerValues(version: string, date: string): Record<string, string> {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const values = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: 'unknown',
    gitTreeState: 'archive',
    buildDate: date,
  };
  const places = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return Object.fromEntries(
    places.flatMap((place) => Object.entries(values).map(([name, value]) => [`${place}.${name}`, value])),
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
