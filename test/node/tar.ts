export interface TarFile {
  /** Relative, without `.` and `..`; at most 100 bytes. */
  readonly path: string;
  readonly content: Buffer;
  /** Default 0644. */
  readonly mode?: number;
}

const blockSize = 512;

/**
 * An archive with these files and the folders that lead to them, in the order of their names, owned by root and as old as Unix: the same files always give
 * the same bytes.
 */
export function tarArchive(files: readonly TarFile[]): Buffer {
  const folders = new Set<string>();
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) folders.add(`${parts.slice(0, depth).join('/')}/`);
  }
  const entries = [
    ...[...folders].map((path) => ({ path, content: Buffer.alloc(0), mode: 0o755, type: '5' })),
    ...files.map(({ path, content, mode = 0o644 }) => ({ path, content, mode, type: '0' })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const blocks = entries.flatMap(({ content, ...entry }) => [
    header({ ...entry, size: content.length }),
    content,
    Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockSize)]);
}

function header(of: {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly type: string;
}): Buffer {
  if (Buffer.byteLength(of.path) > 100) throw new Error(`${of.path} is too long for a tar archive of ours`);
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'ascii');
  block.write(of.path, 0, 'utf8');
  octal(of.mode, 100, 8);
  octal(0, 108, 8); // user
  octal(0, 116, 8); // group
  octal(of.size, 124, 12);
  octal(0, 136, 12); // time
  block.write('        ', 148, 'ascii'); // the checksum counts as spaces
  block.write(of.type, 156, 'ascii');
  block.write('ustar\u000000', 257, 'ascii');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return block;
}
