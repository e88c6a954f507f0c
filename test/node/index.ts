export { findOrBuildNode } from './binaries.ts';
export { type ImageSpec, makeImage } from './image.ts';
export { makeProbeImage, probeImage } from './images.ts';
export { prepareMachine } from './machine.ts';
export type { Node } from './node.ts';
export { type ClusterWithNode, type ClusterWithNodeOptions, startClusterWithNode } from './start.ts';
