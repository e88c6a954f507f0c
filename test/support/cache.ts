import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

/** Our folder in the user's cache: outside the clone, so that a second clone need not build again. */
export function cacheDirectory(): string {
  const named = process.env['XDG_CACHE_HOME'];
  // The XDG specification says to ignore a relative path.
  const base = named !== undefined && isAbsolute(named) ? named : join(homedir(), '.cache');
  return join(base, 'mtls-operator');
}

/** A folder for whatever is made from exactly `ingredients`, named with `label` for people. Made if it is missing. */
export function keyedDirectory(kind: string, label: string, ingredients: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const ingredient of ingredients) hash.update(`${ingredient.length}:`).update(ingredient);
  const directory = join(cacheDirectory(), kind, `${label}-${hash.digest('hex').slice(0, 12)}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

const manifestSchema = z.object({ sha256: z.string(), size: z.number(), mtimeMs: z.number(), origin: z.string() });
type Manifest = z.infer<typeof manifestSchema>;

const manifestOf = (file: string) => `${file}.json`;

/**
 * Whether the cached program is there and as it was put. Size and time tell quickly; the digest is compared only if they differ (a copied cache),
 * or if `verify` asks for it.
 */
export async function isIntact(file: string, verify: boolean): Promise<boolean> {
  let manifest: Manifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(readFileSync(manifestOf(file), 'utf8')));
    const now = statSync(file);
    if (!now.isFile() || now.size !== manifest.size) return false;
    if (now.mtimeMs === manifest.mtimeMs && !verify) return true;
  } catch {
    return false; // missing, or cut short
  }
  if ((await sha256(file)) !== manifest.sha256) return false;
  await writeManifest(file, { ...manifest, mtimeMs: (await stat(file)).mtimeMs });
  return true;
}

/** Moves a finished program into the cache. Nobody ever sees half of it: first the file, then what vouches for it. */
export async function putIntoCache(finished: string, file: string, origin: string): Promise<void> {
  await chmod(finished, 0o755);
  const digest = await sha256(finished);
  await rename(finished, file);
  const { size, mtimeMs } = await stat(file);
  await writeManifest(file, { sha256: digest, size, mtimeMs, origin });
}

async function writeManifest(file: string, manifest: Manifest): Promise<void> {
  const partial = `${manifestOf(file)}.${process.pid}`;
  await writeFile(partial, `${JSON.stringify(manifest, null, 2)}\n`);
  await rename(partial, manifestOf(file));
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
