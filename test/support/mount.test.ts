import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeAtomically } from './mount.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mount-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const files = (entries: Record<string, string>) =>
  new Map(Object.entries(entries).map(([name, text]) => [name, Buffer.from(text)]));
const timestamped = () => readdirSync(directory).filter((name) => /^\.\.\d/.test(name));

test('files are links through ..data into a directory of their own, readable by nobody else', () => {
  expect(writeAtomically(directory, files({ 'tls.crt': 'a', 'tls.key': 'b' }))).toBe(true);
  expect(readFileSync(join(directory, 'tls.crt'), 'utf8')).toBe('a');
  expect(readlinkSync(join(directory, 'tls.crt'))).toBe('..data/tls.crt');
  expect([readlinkSync(join(directory, '..data'))]).toEqual(timestamped());
  expect(statSync(join(directory, 'tls.key')).mode & 0o777).toBe(0o600);
});

test('a change swaps the directory, removes what is gone and leaves no old version', () => {
  writeAtomically(directory, files({ 'tls.crt': 'a', 'key.der': 'k' }));
  const [before] = timestamped();
  expect(writeAtomically(directory, files({ 'tls.crt': 'b', 'tls.key': 'c' }))).toBe(true);
  expect(timestamped()).toHaveLength(1);
  expect(timestamped()).not.toContain(before);
  expect(
    readdirSync(directory)
      .filter((name) => !name.startsWith('..'))
      .sort(),
  ).toEqual(['tls.crt', 'tls.key']);
  expect(readFileSync(join(directory, 'tls.crt'), 'utf8')).toBe('b');
});

test('the same contents again touch nothing', () => {
  writeAtomically(directory, files({ 'tls.crt': 'a' }));
  const before = timestamped();
  expect(writeAtomically(directory, files({ 'tls.crt': 'a' }))).toBe(false);
  expect(timestamped()).toEqual(before);
});

test('a group may read what it is given access to, and nobody else may', () => {
  const { uid, gid } = statSync(directory);
  const access = { group: gid, fileMode: 0o440 };
  for (const text of ['a', 'b']) {
    writeAtomically(directory, files({ 'tls.key': text }), access);
    const key = statSync(join(directory, 'tls.key'));
    expect([key.uid, key.gid, key.mode & 0o777]).toEqual([uid, gid, 0o440]);
    for (const path of [directory, join(directory, '..data')]) expect(statSync(path).mode & 0o777).toBe(0o750);
  }
});
