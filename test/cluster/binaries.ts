import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Progress, withProgress } from '../support/progress.ts';
import { moduleDirectory, readVersions } from './versions.ts';

/** Absolute paths. */
export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubectl: string;
}

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
} as const;

export async function findOrBuildBinaries(progress: Progress): Promise<Binaries> {
  const versions = readVersions();
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const directory = join(cache, 'mtls-operator', 'control-plane', versions.kubernetes);
  mkdirSync(directory, { recursive: true });
  const found = async (name: keyof typeof packages): Promise<string> => {
    const path = join(directory, name);
    if (existsSync(path)) return path;
    const partial = join(tmpdir(), `${name}.${process.pid}`);
    await withProgress(progress, `Building ${name}`, () =>
      run('go', ['build', '-trimpath', '-ldflags', linkerFlags(versions.kubernetes), '-o', partial, packages[name]]),
    );
    renameSync(partial, path);
    return path;
  };
  return {
    etcd: await found('etcd'),
    kubeApiserver: await found('kube-apiserver'),
    kubeControllerManager: await found('kube-controller-manager'),
    kubectl: await found('kubectl'),
  };
}

function linkerFlags(version: string): string {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const values = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: 'unknown',
    gitTreeState: 'archive',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const set = packages.flatMap((name) => Object.entries(values).map(([key, value]) => `-X ${name}.${key}=${value}`));
  return ['-s -w', ...set].join(' ');
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: moduleDirectory,
      stdio: 'inherit',
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`))));
  });
}
