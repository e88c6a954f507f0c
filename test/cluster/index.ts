export {
  type Binaries,
  findOrBuildBinaries,
  findOrBuildNodeBinaries,
  findOrBuildOldestApiServer,
  type NodeBinaries,
} from './binaries.ts';
export {
  type Cluster,
  type ClusterOptions,
  KubectlError,
  type KubectlOptions,
  startCluster,
  type User,
} from './cluster.ts';
export type { Credential } from './credentials.ts';
export type { ClusterNetwork } from './flags.ts';
export type { Command, GuardedDirectory } from './guardian.ts';
export { type ControlPlaneProcess, StartError } from './process.ts';
export { readOldestVersion, readVersions, type Versions } from './versions.ts';
