// The scripts of examples/shell: what they promise, with a directory that changes much faster than a kubelet would do it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { CommandError, run } from '../support/command.ts';
import { isAlive } from '../support/lock.ts';
import { writeAtomically } from '../support/mount.ts';
import { waitFor } from '../support/waitFor.ts';

const script = (name: string) => join(import.meta.dirname, '..', '..', 'examples', 'shell', name);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mtls-operator-shell-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** All files of this version. */
function put(version: number): void {
  const names = ['tls.crt', 'tls.key', 'ca.crt'];
  writeAtomically(directory, new Map(names.map((name) => [name, Buffer.from(`${version}\n`)])));
}

describe('with-files.sh', () => {
  const print = ['cat', '/dev/fd/3', '/dev/fd/4', '/dev/fd/5', '/dev/fd/3'];

  test('gives the files of one version, whenever they are replaced', async () => {
    let version = 1;
    put(version);
    const replacing = setInterval(() => put(++version), 50);
    try {
      for (let time = 0; time < 100 || version <= 10; time++) {
        const { stdout } = await run('sh', [script('with-files.sh'), directory, ...print]);
        const versions = stdout.trim().split('\n');
        expect(versions).toHaveLength(4);
        expect(new Set(versions).size).toBe(1);
      }
    } finally {
      clearInterval(replacing);
    }
  });

  test('takes a directory that is no volume of Kubernetes', async () => {
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) writeFileSync(join(directory, name), `${name}\n`);
    const { stdout } = await run('sh', [script('with-files.sh'), directory, ...print]);
    expect(stdout).toBe('tls.crt\ntls.key\nca.crt\ntls.crt\n');
  });

  test.each([
    ['fails as the command fails', ['sh', '-c', 'exit 7'], 7],
    ['runs nothing that does not exist', ['/no/such/command'], 127],
  ])('%s', async (_, command, code) => {
    put(1);
    const failed = await run('sh', [script('with-files.sh'), directory, ...command]).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandError);
    expect(failed).toMatchObject({ code });
  });

  const failure = (...args: readonly string[]): Promise<unknown> =>
    run('sh', [script('with-files.sh'), ...args]).catch((error: unknown) => error);

  test('says once which file is missing, and runs nothing', async () => {
    for (const name of ['tls.crt', 'ca.crt']) writeFileSync(join(directory, name), `${name}\n`);
    expect(await failure(directory, 'echo', 'ran')).toMatchObject({
      code: 1,
      output: `with-files: cannot read ${directory}/tls.key\n`,
    });
  });

  test('says what is missing where the directory is', async () => {
    const missing = join(directory, 'missing');
    const lines = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => `with-files: cannot read ${missing}/${name}\n`);
    expect(await failure(missing, 'echo', 'ran')).toMatchObject({ code: 1, output: lines.join('') });
  });

  test('leaves the command its stderr', async () => {
    put(1);
    expect(await failure(directory, 'sh', '-c', 'echo said >&2; exit 3')).toMatchObject({ code: 3, output: 'said\n' });
    expect(await failure(directory, '/no/such/command')).toMatchObject({
      output: expect.stringContaining('/no/such/command'),
    });
  });

  test('tells how it is used', async () => {
    for (const args of [[], [directory]])
      expect(await failure(...args)).toMatchObject({ code: 2, output: expect.stringMatching(/^usage: [^\n]*\n$/) });
  });
});

describe('on-change.sh', () => {
  test('tells how it is used', async () => {
    for (const args of [[], [directory]]) {
      const failed = await run('sh', [script('on-change.sh'), ...args]).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 2, output: expect.stringMatching(/^usage: [^\n]*\n$/) });
    }
  });

  let guarded: GuardedDirectory;
  beforeEach(async () => {
    guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-shell-');
  });
  afterEach(() => guarded.remove());

  /** Runs it with a command that notes the version which it finds. */
  function follow(command: string): { readonly seen: () => string[]; readonly exited: () => boolean; kill(): void } {
    const notes = join(guarded.path, 'notes');
    writeFileSync(notes, '');
    const words = ['sh', script('on-change.sh'), directory, 'sh', '-c', command] as const;
    const child = guarded.launch(words, { stdio: 'ignore', env: { ...process.env, NOTES: notes, MOUNT: directory } });
    return {
      seen: () => readFileSync(notes, 'utf8').trim().split('\n'),
      exited: () => child.exitCode !== null,
      kill: () => child.kill(),
    };
  }

  test('runs the command once at the beginning and once for each change', async () => {
    put(1);
    const loop = follow('cat "$MOUNT/tls.crt" >>"$NOTES"');
    for (const version of [1, 2, 3]) {
      put(version);
      await waitFor(`version ${version}`, () => loop.seen().at(-1) === String(version));
    }
    expect(loop.seen()).toEqual(['1', '2', '3']);
    loop.kill();
  });

  test('runs a command that fails again until it succeeds', async () => {
    put(1);
    const loop = follow('cat "$MOUNT/tls.crt" >>"$NOTES"; [ "$(wc -l <"$NOTES")" -ge 3 ]');
    await waitFor('the third time', () => loop.seen().length === 3);
    put(2);
    await waitFor('the next change', () => loop.seen().at(-1) === '2');
    expect(loop.seen()).toEqual(['1', '1', '1', '2']);
    loop.kill();
  });

  test('ends when the program that started it has ended', async () => {
    put(1);
    const words = ['sh', '-c', `sh ${script('on-change.sh')} ${directory} true & echo $!; read -r word`] as const;
    const child = guarded.launch(words, { stdio: ['pipe', 'pipe', 'ignore'] });
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    // One that begins when its parent has already ended cannot tell who that was.
    await waitFor('the loop to have begun', () => said.includes('on-change: done'));
    const pid = Number.parseInt(said, 10);
    expect(isAlive(pid)).toBe(true);
    child.stdin?.end();
    await waitFor('the loop to end', () => !isAlive(pid));
  });
});
