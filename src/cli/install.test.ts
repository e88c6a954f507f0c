import { expect, test } from 'vitest';
import { HostDirectory, weaknessOf } from './install.ts';

const we = 1000;

test.each<[string, number, number, boolean, RegExp | undefined]>([
  ['our own', we, 0o755, false, undefined],
  ["root's", 0, 0o755, false, undefined],
  ["somebody else's", 1001, 0o755, false, /belongs to the user 1001.*chown 1000$/],
  ["somebody else's above ours", 1001, 0o755, true, /belongs to the user 1001/],
  ["somebody else's with the sticky bit", 1001, 0o1777, true, /belongs to the user 1001/],
  ['open to the group', we, 0o775, false, /its group.*chmod g-w$/],
  ['open to everybody', we, 0o757, false, /everybody.*chmod go-w$/],
  ['above, open to the group', 0, 0o775, true, /its group/],
  ['above, open to everybody with the sticky bit', 0, 0o1777, true, undefined],
  ['itself open to everybody with the sticky bit', 0, 0o1777, false, /everybody/],
])('a folder that is %s', (_, uid, mode, above, said) => {
  const weakness = weaknessOf({ uid, mode: 0o040000 | mode }, above, we);
  if (said === undefined) expect(weakness).toBeUndefined();
  else expect(weakness).toMatch(said);
});

test.each(['/proc/mtls', '/proc/mtls/web'])('%s, which cannot be made, is told of at once', async (path) => {
  await expect(new HostDirectory(path).prepare()).rejects.toMatchObject({
    fault: 'notWritten',
    message: expect.stringMatching(/^\/proc\/mtls.*: cannot make the directory: E[A-Z]+: /),
  });
});
