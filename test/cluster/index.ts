export { type Binaries, findOrBuildBinaries } from './binaries.ts';
export {
  type Cluster,
  type ClusterOptions,
  KubectlError,
  type KubectlOptions,
  startCluster,
  type User,
} from './cluster.ts';
export { type ControlPlaneProcess, StartError } from './process.ts';
export { readVersions, type Versions } from './versions.ts';
