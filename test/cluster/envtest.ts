import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { run } from '../support/command.ts';
import { goPlatform } from '../support/go.ts';
import { type Progress, withProgress } from '../support/progress.ts';

// The archives that the Kubernetes project publishes for tests: etcd, kube-apiserver and kubectl, without kube-controller-manager, and not of
// every patch release. So this saves part of the first build where it can, and only a Go build is sure to bring everything.
export const envtestIndex =
  'https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml';

/** What an archive holds. */
export const envtestPrograms = ['etcd', 'kube-apiserver', 'kubectl'] as const;
export type EnvtestProgram = (typeof envtestPrograms)[number];

const indexSchema = z.object({
  releases: z.record(
    z.string(),
    z.record(z.string(), z.object({ hash: z.string(), selfLink: z.url({ protocol: /^https?$/ }) })),
  ),
});

const indexDeadlineMs = 4_000;
const archiveDeadlineMs = 300_000;
const archiveMaxBytes = 512 * 1024 * 1024;

/**
 * Fetches the archive of exactly `version` and unpacks it into `directory`; its digest must be the index's. Resolves with the paths, or with
 * undefined, after one line that says why, if there is no such archive or the internet cannot be reached.
 * @throws if an archive is not what the index says.
 */
export async function fetchEnvtest(
  version: string,
  directory: string,
  progress: Progress,
  index: string = envtestIndex,
): Promise<Readonly<Record<EnvtestProgram, string>> | undefined> {
  const name = `envtest-${version}-${goPlatform()}.tar.gz`;
  const skip = (why: string) => {
    progress(`No release archive (${why}): Kubernetes is built with Go instead`);
    return undefined;
  };
  let release: { readonly hash: string; readonly selfLink: string } | undefined;
  let archive: Buffer;
  try {
    const text = await download(index, indexDeadlineMs);
    release = indexSchema.parse(parse(text.toString('utf8'))).releases[version]?.[name];
    if (release === undefined) return skip(`envtest has none of Kubernetes ${version} for ${goPlatform()}`);
    const { selfLink } = release;
    archive = await withProgress(progress, `Fetching ${name}`, () => download(selfLink, archiveDeadlineMs));
  } catch (error) {
    return skip(`${new URL(index).host}: ${reasonOf(error)}`);
  }
  if (createHash('sha512').update(archive).digest('hex') !== release.hash.toLowerCase()) {
    throw new Error(
      `${release.selfLink} does not have the SHA-512 that ${index} gives for it. Nothing of it was used.`,
    );
  }
  const file = join(directory, name);
  await writeFile(file, archive);
  // Names only: whatever else lies in the archive stays there.
  const members = envtestPrograms.map((program) => `controller-tools/envtest/${program}`);
  await run('tar', ['-xzf', file, '-C', directory, ...members]);
  const path = (program: EnvtestProgram) => join(directory, 'controller-tools', 'envtest', basename(program));
  return { etcd: path('etcd'), 'kube-apiserver': path('kube-apiserver'), kubectl: path('kubectl') };
}

async function download(url: string, deadlineMs: number): Promise<Buffer> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(deadlineMs) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  if (Number(answer.headers.get('content-length') ?? 0) > archiveMaxBytes) throw new Error('too large');
  return Buffer.from(await answer.arrayBuffer());
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause) return `not reachable, ${String(cause.code)}`;
  return error.message.split('\n', 1)[0] ?? '';
}
