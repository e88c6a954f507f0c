import { join } from 'node:path';
import { linkerValues } from '../cluster/binaries.ts';
import { readVersions } from '../cluster/index.ts';
import { run } from '../support/command.ts';
import { findGo } from '../support/go.ts';
import { goTool } from '../support/goProgram.ts';
import type { Progress } from '../support/progress.ts';

/** What it pins: kind, and the kubeadm that goes with the test cluster's Kubernetes. */
export const moduleDirectory = import.meta.dirname;

const kindModule = 'sigs.k8s.io/kind';

export function kindProgram(progress: Progress): Promise<string> {
  return goTool(moduleDirectory, kindModule, progress);
}

export function kubeadmProgram(progress: Progress): Promise<string> {
  const values = linkerValues(readVersions().kubernetes, ''); // it refuses another Kubernetes than its own
  return goTool(moduleDirectory, 'k8s.io/kubernetes/cmd/kubeadm', progress, values);
}

/** Where kind's own sources are: the files of its node image among them. */
export async function kindSources(progress: Progress): Promise<string> {
  const go = await findGo(readVersions().go, progress);
  const options = { cwd: moduleDirectory, env: go.env };
  await run(go.command, ['mod', 'download', kindModule], options);
  return (await run(go.command, ['list', '-m', '-f', '{{.Dir}}', kindModule], options)).stdout.trim();
}

/** `kindest/node:v…@sha256:…`: the node image that this version of kind was released with. */
export function releasedImage(sources: string, read: (file: string) => string): string {
  const file = join(sources, 'pkg', 'apis', 'config', 'defaults', 'image.go');
  const name = /^const Image = "([^"]+)"$/m.exec(read(file))?.[1];
  if (name === undefined) throw new Error(`kind's sources do not say its node image: ${file}`);
  return name;
}
