import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { run } from '../support/command.ts';
import { makeImage } from './image.ts';
import { tarArchive } from './tar.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mtls-image-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

async function unpack(archive: Buffer, into = directory): Promise<void> {
  const file = join(directory, 'archive.tar');
  writeFileSync(file, archive);
  await run('tar', ['-xf', file, '-C', into]);
  rmSync(file);
}

const descriptorSchema = z.object({ mediaType: z.string(), digest: z.string(), size: z.number() });
type Descriptor = z.infer<typeof descriptorSchema>;

/** What a descriptor points to; its digest and size must be right. */
function blob({ digest, size }: Descriptor): Buffer {
  const content = readFileSync(join(directory, 'blobs', digest.replace(':', '/')));
  expect(`sha256:${createHash('sha256').update(content).digest('hex')}`).toBe(digest);
  expect(content.length).toBe(size);
  return content;
}

const json = <T>(schema: z.ZodType<T>, text: Buffer): T => schema.parse(JSON.parse(text.toString('utf8')));

test('an image is an OCI archive whose parts name each other by their digests', async () => {
  const program = join(directory, 'program');
  writeFileSync(program, '#!/bin/sh\n');
  await unpack(makeImage({ name: 'localhost/x:1', files: { '/bin/x': program }, entrypoint: ['/bin/x'], user: '7' }));
  expect(JSON.parse(readFileSync(join(directory, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
  const indexSchema = z.object({
    manifests: z.tuple([descriptorSchema.extend({ annotations: z.record(z.string(), z.string()) })]),
  });
  const { manifests } = json(indexSchema, readFileSync(join(directory, 'index.json')));
  expect(manifests[0].annotations).toEqual({ 'io.containerd.image.name': 'localhost/x:1' });
  const manifestSchema = z.object({ config: descriptorSchema, layers: z.tuple([descriptorSchema]) });
  const { config, layers } = json(manifestSchema, blob(manifests[0]));
  expect(JSON.parse(blob(config).toString('utf8'))).toMatchObject({
    os: 'linux',
    config: { Entrypoint: ['/bin/x'], User: '7' },
    rootfs: { type: 'layers', diff_ids: [layers[0].digest] },
  });
  await unpack(blob(layers[0]));
  expect(readFileSync(join(directory, 'bin', 'x'), 'utf8')).toBe('#!/bin/sh\n');
  expect(statSync(join(directory, 'bin', 'x')).mode & 0o777).toBe(0o755);
});

test('the same files give the same bytes, whenever and in whatever order', () => {
  const files = ['a', 'b'].map((name) => join(directory, name));
  const [a = '', b = ''] = files;
  const make = (places: Record<string, string>) =>
    makeImage({ name: 'localhost/x:1', files: places, entrypoint: ['/a'] });
  for (const file of files) writeFileSync(file, file);
  const once = make({ '/a': a, '/b': b });
  chmodSync(a, 0o600);
  writeFileSync(b, b); // another time
  expect(make({ '/b': b, '/a': a }).equals(once)).toBe(true);
});

test.each([0, 1, 511, 512, 513, 100_000])('tar unpacks a file of %i bytes', async (size) => {
  const content = Buffer.alloc(size, 'x');
  await unpack(tarArchive([{ path: 'deep/er/file', content }]));
  expect(readFileSync(join(directory, 'deep/er/file')).equals(content)).toBe(true);
});

test('a path that a tar header cannot hold is refused', () => {
  expect(() => tarArchive([{ path: 'x'.repeat(101), content: Buffer.alloc(0) }])).toThrow(/too long/);
});
