import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Redirection, redirectionRules } from './redirection.ts';

const nothing: Redirection = { inboundPortsExcluded: [], outboundPortsExcluded: [], outboundRangesExcluded: [] };
const rules = (more: Partial<Redirection> = {}): string => redirectionRules({ ...nothing, ...more });

describe('the rules', () => {
  test('redirect TCP alone, both ways, to the proxy', () => {
    expect(rules()).toContain('meta l4proto tcp redirect to :15006');
    expect(rules()).toContain('meta l4proto tcp redirect to :15001');
    expect(rules().match(/meta l4proto != tcp return/g)).toHaveLength(2);
  });

  test('never redirect probes to the proxy, nor what the proxy sends', () => {
    expect(rules()).toContain('tcp dport { 15021 } return');
    expect(rules()).toContain('meta skuid 1337 return');
  });

  test('let the proxy ask its own application from an address that no connection of a peer comes from: servers count failures by address', () => {
    expect(rules()).toContain('oifname "lo" ip saddr { 127.0.0.6, 127.0.0.7 } return');
    expect(rules()).toContain('oifname "lo" ip6 saddr { ::6, ::7 } return');
  });

  test('lead the pod to its own excluded port as they lead everybody else: past the proxy', () => {
    const lines = rules({ inboundPortsExcluded: [9090] }).split('\n');
    const past = lines.indexOf('    oifname "lo" meta skuid 1337 tcp dport { 9090 } return');
    const toItself = lines.findIndex((line) => line.includes('oifname "lo" meta skuid 1337 ip daddr != 127.0.0.1'));
    expect(past).toBeGreaterThan(0);
    expect(past).toBeLessThan(toItself);
  });

  test('leave out ports and ranges that are excluded, each once', () => {
    const found = rules({
      inboundPortsExcluded: [9090, 9090],
      outboundPortsExcluded: [5432, 6379],
      outboundRangesExcluded: ['192.0.2.0/24', '2001:DB8::1/32'],
    });
    expect(found).toContain('tcp dport { 15021, 9090 } return');
    expect(found).toContain('tcp dport { 5432, 6379 } return');
    expect(found).toContain('ip daddr 192.0.2.0/24 return');
    expect(found).toContain('ip6 daddr 2001:db8::/32 return');
  });

  test('replace themselves as a whole where they are loaded again', () => {
    expect(rules().startsWith('table inet mtls_operator\ndelete table inet mtls_operator\n')).toBe(true);
  });

  test.each<[string, Partial<Redirection>]>([
    ['a port beyond the last', { inboundPortsExcluded: [65_536] }],
    ['port 0', { outboundPortsExcluded: [0] }],
    ['half a port', { outboundPortsExcluded: [0.5] }],
    ['an address without a length', { outboundRangesExcluded: ['192.0.2.1'] }],
    ['another rule', { outboundRangesExcluded: ['192.0.2.0/24 return; tcp dport 22 drop'] }],
  ])('refuse %s', (_, more) => {
    expect(() => rules(more)).toThrow(RangeError);
  });

  test('hold nothing of what a user wrote but numbers and addresses', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.ipV4().map((one) => `${one}/8`),
          ),
        ),
        (outboundRangesExcluded) => {
          try {
            expect(rules({ outboundRangesExcluded })).toMatch(/^[a-z0-9_ {}\n:;,.!="/-]+$/);
          } catch (error) {
            if (!(error instanceof RangeError)) throw error;
          }
        },
      ),
    );
  });
});
