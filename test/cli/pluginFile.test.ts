/** The file that `npm run plugin` makes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPlugin } from '../../build.ts';
import { run } from '../support/command.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mtls-operator-plugin-file-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

test('runs on the Node that has made it, whichever is on the PATH', async () => {
  const { stdout } = await run(await buildPlugin(directory), ['--help'], { env: { PATH: directory } });
  expect(stdout).toContain('kubectl mtls explain KIND/NAME');
});
