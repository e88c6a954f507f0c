import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What test/cluster/go.mod pins: the only place where these versions stand. */
export interface Versions {
  /** As Kubernetes writes it: `v1.37.2`. */
  readonly kubernetes: string;
  /** `v3.7.0` */
  readonly etcd: string;
  /** The oldest Go that builds them: `1.26.0`. */
  readonly go: string;
}

/** @throws if go.mod lacks one of them. */
export function parseVersions(goMod: string): Versions {
  const found = (what: string, pattern: RegExp): string => {
    const version = pattern.exec(goMod)?.[1];
    if (version === undefined) throw new Error(`test/cluster/go.mod does not say the version of ${what}`);
    return version;
  };
  return {
    kubernetes: found('Kubernetes', /^\s*(?:require )?k8s\.io\/kubernetes (v\d+\.\d+\.\d+\S*)/m),
    etcd: found('etcd', /^\s*(?:require )?go\.etcd\.io\/etcd\/server\/v3 (v\d+\.\d+\.\d+\S*)/m),
    go: found('Go', /^go (\d+\.\d+(?:\.\d+)?)/m),
  };
}

export const moduleDirectory = import.meta.dirname;

export function readVersions(): Versions {
  return parseVersions(readFileSync(join(moduleDirectory, 'go.mod'), 'utf8'));
}
