import { statSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { build } from 'esbuild';

const root = import.meta.dirname;

/** Where the bundle goes, unless somebody wants one of their own. */
const dist = join(root, 'dist');

/**
 * Node's flags for the operator. What is decoded from a LIST is garbage a moment later: a young generation of bounded size, and collections of the old one when it
 * has grown by two fifths instead of twice, cost little CPU and save half of the memory; --expose-gc lets the operator collect once when a burst of work is over.
 * Not `--enable-source-maps`: Node keeps the whole map in memory, 98 MB, for stack traces that hardly ever come. They name functions as they are; the map beside
 * the bundle tells the lines.
 */
export const operatorNodeFlags = ['--max-semi-space-size=8', '--heap-growing-percent=40', '--expose-gc'] as const;

/** glibc gives each thread an arena of its own, and memory that was freed in one does not serve the others. */
export const operatorEnvironment: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '2' };

/**
 * Bundles the operator and its dependencies, with source maps beside, and resolves with the path of the file to start. What few kubeconfigs need
 * (client-node for exec plugins, YAML) lies in files of its own: their text would stay in memory for ever. Takes a fraction of a second, so whoever runs the
 * operator does it each time.
 *
 * @param directory for whoever starts it again and again, while somebody else may build another.
 */
export async function buildOperator(directory: string = dist): Promise<string> {
  return await bundle('main', directory);
}

/**
 * Bundles the plugin of kubectl, and resolves with the path of its file: an executable, which runs on the Node that has made it, since the one on the PATH may be too old. Apart from the
 * operator, whose file would otherwise be split to share parts with it.
 */
export async function buildPlugin(directory: string = join(dist, 'kubectl-mtls')): Promise<string> {
  const file = await bundle('kubectlMtls', directory);
  const text = await readFile(file, 'utf8');
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, text.replace(/^#!.*/, `#!${interpreter(process.execPath)}`));
  await chmod(partial, 0o755);
  await rename(partial, file);
  return file;
}

/** The kernel takes one argument behind a blank, and cuts off what is long. */
function interpreter(path: string): string {
  return /^\S{1,120}$/.test(path) ? path : '/usr/bin/env node';
}

async function bundle(name: string, directory: string): Promise<string> {
  const main = join(directory, `${name}.js`);
  const result = await build({
    absWorkingDir: root,
    entryPoints: [`src/${name}.ts`],
    outdir: directory,
    bundle: true,
    splitting: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    sourcemap: 'linked',
    // They name files and lines; the text is in the repository, and would be most of the image's own layer.
    sourcesContent: false,
    // The text stays in memory for as long as the process runs. Names are kept: they stand in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // Some dependencies are CommonJS and call `require` for Node's own modules, which an ES module does not have.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    legalComments: 'linked',
    logLevel: 'warning',
  });
  // Renamed into place, the file to start last: another command may be starting the operator right now. For the same reason the parts of an earlier
  // bundle stay; their names tell their content.
  await mkdir(directory, { recursive: true });
  if (directory !== dist) await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n');
  const files = [...result.outputFiles].sort((a, b) => Number(a.path === main) - Number(b.path === main));
  for (const { path, contents } of files) {
    const partial = `${path}.${process.pid}`;
    await writeFile(partial, contents);
    await rename(partial, path);
  }
  return main;
}

if (import.meta.main) {
  const started = performance.now();
  const plugin = process.argv[2] === 'plugin';
  const file = await (plugin ? buildPlugin() : buildOperator());
  const kilobytes = Math.round(statSync(file).size / 1024);
  process.stdout.write(`${relative(root, file)}: ${kilobytes} KB in ${Math.round(performance.now() - started)} ms\n`);
  // kubectl finds its plugins by name on PATH.
  if (plugin) process.stdout.write(`To install it: ln -sf ${file} ~/.local/bin/kubectl-mtls\n`);
}
