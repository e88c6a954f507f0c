/** The rules of redirection, as a real nft takes them. */
import { expect, test } from 'vitest';
import { redirectionRules } from '../../src/inject/redirection.ts';
import { machinePath } from '../node/machine.ts';
import { run } from '../support/command.ts';

const rules = redirectionRules({
  inboundPortsExcluded: [9090, 22],
  outboundPortsExcluded: [5432],
  // One lies in another: nft takes no set of such ranges.
  outboundRangesExcluded: ['192.0.2.0/24', '192.0.2.128/25', '2001:db8::/32', '0.0.0.0/0'],
});

/** In a network of its own, which ends with the command. */
async function inNetwork(script: string): Promise<string> {
  const { stdout } = await run('unshare', ['--net', '/bin/sh', '-euc', script, 'sh', rules], {
    env: { PATH: machinePath },
  });
  return stdout;
}

test('nft loads them, and loads them again without adding to them', async () => {
  const load = `printf '%s' "$1" | nft -f -`;
  const list = 'nft --stateless list ruleset';
  const once = await inNetwork(`${load}; ${list}`);
  expect(once).toContain('table inet mtls_operator');
  expect(once).toContain('ip6 daddr 2001:db8::/32 return');
  expect(await inNetwork(`${load}; ${load}; ${load}; ${list}`)).toBe(once);
});
