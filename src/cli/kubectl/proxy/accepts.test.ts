import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { type Mode, modes } from '../../../api/index.ts';
import { type Inbound, type InboundPort, inboundListener, proxyPorts } from '../../../envoy/index.ts';
import { acceptedAt, acceptedIn, type Chain, chainSchema } from './accepts.ts';

/** As Envoy has it from us. */
function chainsOf(inbound: Partial<Inbound>): Chain[] {
  const listener = inboundListener({
    trustDomain: 'shop.example',
    ipv6: true,
    others: 'Strict',
    ports: [],
    ...inbound,
  });
  return z.array(chainSchema).parse(listener['filter_chains']);
}

const port = (number: number, mode: Mode, serverFirst = false): InboundPort => ({ number, mode, serverFirst });

describe('what is taken at a port', () => {
  test.each(modes)('is what %s asks for, whoever speaks first, and at all others', (mode) => {
    const others: Mode = mode === 'Strict' ? 'Permissive' : 'Strict';
    const chains = chainsOf({ others, ports: [port(8080, mode), port(3306, mode, true)] });
    expect([8080, 3306, 9090, null].map((number) => acceptedAt(chains, number))).toEqual([
      acceptedIn(mode),
      acceptedIn(mode),
      acceptedIn(others),
      acceptedIn(others),
    ]);
  });

  test('is what the listener was made for, whatever ports it has', () => {
    const ports = fc.uniqueArray(
      fc.record({
        number: fc.integer({ min: 1, max: 14_999 }),
        mode: fc.constantFrom(...modes),
        serverFirst: fc.boolean(),
      }),
      { selector: ({ number }) => number, maxLength: 20 },
    );
    fc.assert(
      fc.property(ports, fc.constantFrom(...modes), (declared, others) => {
        const chains = chainsOf({ ports: declared, others });
        for (const { mode, number } of declared) expect(acceptedAt(chains, number)).toBe(acceptedIn(mode));
        expect(acceptedAt(chains, null)).toBe(acceptedIn(others));
      }),
    );
  });

  test.each(Object.entries(proxyPorts).filter(([name]) => name !== 'probes'))(
    'is nothing at the proxy’s own port: %s',
    (_, number) => {
      const accepted = acceptedAt(chainsOf({ others: 'Permissive' }), number);
      expect(accepted).toBe('Nothing');
    },
  );

  test('is nothing without a listener', () => {
    expect(acceptedAt([], 8080)).toBe('Nothing');
  });

  const mutual = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    require_client_certificate: true,
  };
  const passing = [{ typed_config: { cluster: 'inbound' } }];
  const chain = (match: object, typed_config?: object): Chain =>
    chainSchema.parse({
      filter_chain_match: match,
      filters: passing,
      ...(typed_config && { transport_socket: { typed_config } }),
    });

  test.each([
    [
      'TLS that asks for no certificate is no mutual TLS',
      [chain({}, { ...mutual, require_client_certificate: false })],
      'Nothing',
    ],
    ['another transport is no mutual TLS', [chain({}, { ...mutual, '@type': 'x.RawBuffer' })], 'Nothing'],
    ['plaintext alone', [chain({})], 'Plaintext'],
    ['of another port says nothing', [chain({ destination_port: 80 })], 'Nothing'],
    ['with the port hides those without', [chain({ destination_port: 8080 }, mutual), chain({})], 'MutualTLS'],
  ])('%s', (_, chains, expected) => {
    expect(acceptedAt(chains, 8080)).toBe(expected);
  });

  test('is not guessed by a criterion that nobody here knows', () => {
    expect(chainSchema.safeParse({ filter_chain_match: { prefix_ranges: [] }, filters: passing }).success).toBe(false);
  });
});
