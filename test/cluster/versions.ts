import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the go.mod that pins a version of Kubernetes says. */
export interface KubernetesVersion {
  /** As Kubernetes writes it: `v1.37.2`. */
  readonly kubernetes: string;
  /** The oldest Go that builds it: `1.26.0`. */
  readonly go: string;
}

/** What test/cluster/go.mod pins: the only place where these versions stand. */
export interface Versions extends KubernetesVersion {
  /** `v3.7.0` */
  readonly etcd: string;
}

/** @throws if go.mod lacks one of them. */
export function parseVersions(goMod: string): Versions {
  const file = 'test/cluster/go.mod';
  const pattern = /^\s*(?:require )?go\.etcd\.io\/etcd\/server\/v3 (v\d+\.\d+\.\d+\S*)/m;
  return { ...parseKubernetesVersion(goMod, file), etcd: versionIn(goMod, file, 'etcd', pattern) };
}

function parseKubernetesVersion(goMod: string, file: string): KubernetesVersion {
  return {
    kubernetes: versionIn(goMod, file, 'Kubernetes', /^\s*(?:require )?k8s\.io\/kubernetes (v\d+\.\d+\.\d+\S*)/m),
    go: versionIn(goMod, file, 'Go', /^go (\d+\.\d+(?:\.\d+)?)/m),
  };
}

function versionIn(goMod: string, file: string, what: string, pattern: RegExp): string {
  const version = pattern.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${file} does not say the version of ${what}`);
  return version;
}

export const moduleDirectory = import.meta.dirname;
export const oldestModuleDirectory = join(moduleDirectory, '..', 'oldest');

export function readVersions(): Versions {
  return parseVersions(readFileSync(join(moduleDirectory, 'go.mod'), 'utf8'));
}

/** The oldest Kubernetes that is supported, as test/oldest/go.mod pins it. */
export function readOldestVersion(): KubernetesVersion {
  return parseKubernetesVersion(readFileSync(join(oldestModuleDirectory, 'go.mod'), 'utf8'), 'test/oldest/go.mod');
}
