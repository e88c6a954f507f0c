// The verifiers of others: Go's crypto/x509 and go-spiffe as programs that answer JSON lines, and openssl, which takes many files in one call.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Something that has to be released. */
export interface Workspace extends AsyncDisposable {
  readonly directory: string;
}

export async function makeWorkspace(): Promise<Workspace> {
  const directory = await mkdtemp(join(tmpdir(), 'pki-'));
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** Builds the Go program in `test/certificate/<name>` into the workspace. @returns the path of the binary */
export async function buildVerifier(name: 'verifier' | 'spiffe', workspace: Workspace): Promise<string> {
  const binary = join(workspace.directory, name);
  const source = fileURLToPath(new URL(name, import.meta.url));
  try {
    await run('go', ['build', '-o', binary, '.'], { cwd: source, env: { ...process.env, CGO_ENABLED: '0' } });
  } catch (error) {
    throw new Error(
      `cannot build ${source}; Go 1.24 or newer is needed to check certificates with Go: ${String(error)}`,
    );
  }
  return binary;
}

/** Asks a Go program all questions at once. @returns its answers in the same order */
export async function ask(
  binary: string,
  questions: readonly object[],
  onAnswer: (answer: unknown, i: number) => void,
): Promise<void> {
  const child = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  child.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(Buffer.from(chunk));
  const code = await ended;
  const lines = Buffer.concat(chunks).toString('utf8').trimEnd().split('\n');
  if (code !== 0 || lines.length !== questions.length) {
    throw new Error(`${binary} ended with ${code} after ${lines.length} of ${questions.length} answers`);
  }
  lines.forEach((line, i) => {
    onAnswer(JSON.parse(line), i);
  });
}

export interface OpensslBatch {
  readonly rootPem: string;
  /** Empty for a leaf right under the root. */
  readonly intermediatesPem: string;
  readonly at: Date;
  readonly purpose?: 'sslserver' | 'sslclient';
  readonly leafPems: readonly string[];
}

const FILES_PER_CALL = 500;

/** `openssl verify -x509_strict` on many leaves per process. @returns for each leaf what openssl has against it; '' if nothing */
export async function opensslVerify(batch: OpensslBatch, workspace: Workspace): Promise<string[]> {
  const directory = await mkdtemp(join(workspace.directory, 'openssl-'));
  const root = join(directory, 'root.pem');
  const intermediates = join(directory, 'intermediates.pem');
  await writeFile(root, batch.rootPem);
  await writeFile(intermediates, batch.intermediatesPem);
  const files = batch.leafPems.map((_, i) => join(directory, `${i}.pem`));
  for (const [i, file] of files.entries()) await writeFile(file, batch.leafPems[i] ?? '');
  const options = ['verify', '-x509_strict', '-attime', String(Math.floor(batch.at.getTime() / 1000)), '-CAfile', root];
  if (batch.intermediatesPem !== '') options.push('-untrusted', intermediates);
  if (batch.purpose !== undefined) options.push('-purpose', batch.purpose);
  const problems: string[] = [];
  for (let from = 0; from < files.length; from += FILES_PER_CALL) {
    const some = files.slice(from, from + FILES_PER_CALL);
    problems.push(...judge(await opensslOutput([...options, ...some]), some));
  }
  await rm(directory, { recursive: true });
  return problems;
}

async function opensslOutput(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('openssl', args, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    // One bad certificate among many makes the exit code 2; what it says of each is on both streams.
    if (error instanceof Error && 'stdout' in error && 'stderr' in error) return `${error.stdout}\n${error.stderr}`;
    throw error;
  }
}

/** 'file: OK' on success; 'error ... at N depth lookup: reason' before 'error file: verification failed' otherwise. */
function judge(output: string, files: readonly string[]): string[] {
  const verified = new Set(
    output
      .split('\n')
      .filter((line) => line.endsWith(': OK'))
      .map((line) => line.slice(0, -4)),
  );
  const reasons = output.split('\n').filter((line) => /^error \d+ at/.test(line));
  return files.map((file) =>
    verified.has(file) ? '' : `refused; openssl said of this batch: ${[...new Set(reasons)].join(' | ')}`,
  );
}
