import { statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** Where the bundle goes. */
export const operatorBundle = join(root, 'dist', 'main.js');

/**
 * Bundles the operator and its dependencies into one file, with a source map beside it, and resolves with its path. Takes a fraction of a second,
 * so whoever runs the operator does it each time.
 */
export async function buildOperator(): Promise<string> {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outfile: operatorBundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    sourcemap: 'linked',
    // Some dependencies are CommonJS and call `require` for Node's own modules, which an ES module does not have.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    legalComments: 'linked',
    logLevel: 'warning',
  });
  return operatorBundle;
}

if (import.meta.main) {
  const started = performance.now();
  const file = await buildOperator();
  const kilobytes = Math.round(statSync(file).size / 1024);
  process.stdout.write(`dist/main.js: ${kilobytes} KB in ${Math.round(performance.now() - started)} ms\n`);
}
