import { describe, expect, test } from 'vitest';
import { CliError } from './end.ts';
import { type FetchOptions, parseFetchFlags } from './fetchFlags.ts';

const least = ['--secret', 'web-mtls', '--out', '/srv/tls'];

function options(...args: readonly string[]): FetchOptions {
  const parsed = parseFetchFlags([...least, ...args]);
  if (parsed === 'help') throw new Error('help');
  return parsed;
}

function complaint(args: readonly string[]): string {
  try {
    parseFetchFlags(args);
  } catch (error) {
    if (error instanceof CliError && error.fault === 'usage') return error.message;
    throw error;
  }
  return 'none';
}

test('what is not said is safe', () => {
  expect(options()).toEqual({
    access: { kubeconfig: undefined, context: undefined },
    namespace: undefined,
    secret: 'web-mtls',
    out: '/srv/tls',
    files: undefined,
    permissions: { mode: 0o400, publicMode: 0o444, owner: undefined },
    hook: undefined,
    watch: false,
    intervalMs: 60_000,
    timeoutMs: 30_000,
  });
});

describe('takes', () => {
  test.each<[string, string[], Partial<FetchOptions>]>([
    ['files, each once', ['--files', 'ca.pem, key.pem,ca.pem'], { files: ['ca.pem', 'key.pem'] }],
    [
      'modes and an owner',
      ['--mode', '0440', '--public-mode', '644', '--owner', '0:998'],
      { permissions: { mode: 0o440, publicMode: 0o644, owner: { uid: 0, gid: 998 } } },
    ],
    [
      'a server and a token',
      ['--server', 'https://api.example.com:6443/', '--token-file', 't', '--ca', 'c'],
      { access: { server: 'https://api.example.com:6443', tokenFile: 't', caFile: 'c' } },
    ],
    [
      'a hook in words',
      ['--hook', ' /bin/reload  now '],
      { hook: { command: ['/bin/reload', 'now'], timeoutMs: 120_000 } },
    ],
    [
      'a hook for the shell',
      ['--hook-shell', 'a && b', '--hook-timeout', '1m30s'],
      { hook: { command: ['/bin/sh', '-c', 'a && b'], timeoutMs: 90_000 } },
    ],
    ['watching', ['--watch', '--interval', '5m'], { watch: true, intervalMs: 300_000 }],
  ])('%s', (_, args, expected) => {
    expect(options(...args)).toMatchObject(expected);
  });

  test('a wish for help before all else', () => {
    expect(parseFetchFlags(['--help'])).toBe('help');
  });
});

describe('refuses, and says which flag', () => {
  test.each<[string, string[], string]>([
    ['no Secret', ['--out', 'x'], '--secret is missing'],
    ['no directory', ['--secret', 'x'], '--out is missing'],
    ['an unknown flag', [...least, '--sekret', 'x'], '--sekret'],
    ['a word too many', [...least, 'now'], 'now'],
    ['a name that is a path', ['--secret', '../x', '--out', 'x'], '--secret'],
    ['a namespace that is a path', [...least, '--namespace', 'a/b'], '--namespace'],
    ['a file that leads out', [...least, '--files', '../tls.key'], '--files'],
    ['a file in another folder', [...least, '--files', 'a/b'], '--files'],
    ['a name that the layout takes', [...least, '--files', '..data'], '--files'],
    ['an empty name of a file', [...least, '--files', 'a,,b'], '--files'],
    ['a key that everybody may read', [...least, '--mode', '0444'], '--mode'],
    ['a key that the group may write', [...least, '--mode', '0660'], '--mode'],
    ['a certificate that everybody may write', [...least, '--public-mode', '0666'], '--public-mode'],
    ['a mode with more bits', [...least, '--mode', '4400'], '--mode'],
    ['a mode in letters', [...least, '--mode', 'u=r'], '--mode'],
    ['an owner by name', [...least, '--owner', 'root:docker'], '--owner'],
    ['a server without a token', [...least, '--server', 'https://a'], '--token-file is missing'],
    ['a token without a server', [...least, '--token-file', 't'], '--server'],
    ['a server and a kubeconfig', [...least, '--server', 'https://a', '--kubeconfig', 'k'], 'either'],
    ['a server in plaintext', [...least, '--server', 'http://a', '--token-file', 't'], '--server'],
    ['two hooks', [...least, '--hook', 'a', '--hook-shell', 'b'], 'either'],
    ['an empty hook', [...least, '--hook', ' '], '--hook is empty'],
    ['a time of nothing', [...least, '--interval', '0s'], '--interval'],
    ['a time without a unit', [...least, '--timeout', '30'], '--timeout'],
  ])('%s', (_, args, said) => {
    expect(complaint(args)).toContain(said);
  });
});
