import { posix } from 'node:path';

/** A source file: its path from the repository's root, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

// Imports go one way: main → domains → api, pki, kube.
const foundations: ReadonlySet<string> = new Set(['api', 'pki', 'kube']);

/**
 * The rules of docs/architecture.md, broken, one line each; empty when all hold. api, pki and kube import no other folder of ours; a domain never imports
 * another domain's reconcile; nothing imports main; src imports no test (tests of src may: they run real parts).
 */
export function layeringViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    importsOf(file.text).flatMap((target) => judge(file.path, resolveImport(file.path, target), target)),
  );
}

function judge(from: string, to: string | undefined, written: string): string[] {
  if (to === undefined || !from.startsWith('src/')) return [];
  const isTest = from.endsWith('.test.ts');
  const say = (rule: string) => [`${from} imports ${written}: ${rule}`];
  if (!to.startsWith('src/')) return isTest || !to.startsWith('test/') ? [] : say('src does not import from test');
  const own = folderOf(from);
  const its = folderOf(to);
  if (own === its) return [];
  if (its === undefined) return isTest ? [] : say('nothing imports what stands in src itself');
  if (own === undefined) return []; // main wires the parts
  if (foundations.has(own)) return say(`${own} imports no other folder of ours`);
  if (posix.basename(to) === 'reconcile.ts') return say("a domain never imports another domain's reconcile");
  return [];
}

/** `pki` for `src/pki/der.ts`; undefined for a file in src itself. */
function folderOf(path: string): string | undefined {
  const parts = path.split('/');
  return parts.length > 2 ? parts[1] : undefined;
}

/** Where a relative import leads; undefined for a package or one of Node's modules. */
export function resolveImport(from: string, target: string): string | undefined {
  return target.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), target)) : undefined;
}

/** What a file imports: `import ... from`, `export ... from`, bare and dynamic imports with a literal. */
export function importsOf(text: string): string[] {
  const pattern =
    /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*(['"])(.+?)\1|^\s*import\s*(['"])(.+?)\3|\bimport\(\s*(['"])(.+?)\5\s*\)/gm;
  return [...text.matchAll(pattern)].map((match) => match[2] ?? match[4] ?? match[6] ?? '');
}
