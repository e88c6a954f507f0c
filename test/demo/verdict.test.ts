import { expect, test } from 'vitest';
import { problemsOf, type Seen } from './verdict.ts';

const good: Seen = {
  handshakes: 1_000,
  failures: 0,
  firstError: undefined,
  renewals: { server: 3, client: 4 },
  broken: undefined,
};

test.each<[name: string, seen: Partial<Seen>, problems: string[]]>([
  ['nothing is wrong', {}, []],
  ['a handshake failed', { failures: 1, firstError: 'x509: expired' }, ['1 failed, the first with: x509: expired']],
  ['nobody connected', { handshakes: 0 }, ['no handshake was made']],
  [
    'the server kept its certificate',
    { renewals: { server: 2, client: 3 } },
    ['the server was renewed 2 times and not 3'],
  ],
  [
    'the client kept its certificate',
    { renewals: { server: 3, client: 0 } },
    ['the client was renewed 0 times and not 3'],
  ],
  ['a program ended', { broken: 'the server has ended' }, ['the server has ended']],
])('%s', (_, seen, problems) => expect(problemsOf({ ...good, ...seen })).toEqual(problems));
