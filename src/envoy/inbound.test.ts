import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Mode, modes } from '../api/index.ts';
import { isRecord } from '../kube/index.ts';
import { type Inbound, type InboundPort, inboundClusters, inboundListener } from './inbound.ts';
import type { Message } from './message.ts';
import { proxyPorts } from './names.ts';

function port(number: number, mode: Mode, serverFirst = false): InboundPort {
  return { number, mode, serverFirst };
}

function inbound(more: Partial<Inbound> = {}): Inbound {
  return { trustDomain: 'cluster.local', ipv6: false, others: 'Permissive', ports: [], ...more };
}

function messages(value: unknown): Message[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value;
}

const chainsOf = (of: Inbound): Message[] => messages(inboundListener(of)['filter_chains']);
const named = (of: Inbound): Map<string, Message> =>
  new Map(chainsOf(of).map((chain) => [String(chain['name']), chain]));
const names = (of: Inbound): string[] => [...named(of).keys()];

const own = ['own-15001', 'own-15006', 'own-15008', 'own-15020'];

describe('the chains of a port', () => {
  test.each<[Mode, string[]]>([
    ['Permissive', ['8080-mtls', '8080-application-tls', '8080-plaintext']],
    ['Disabled', ['8080-mtls', '8080-application-tls', '8080-plaintext']],
    ['Strict', ['8080-mtls', '8080-mtls-unmarked']],
  ])('that is %s', (mode, expected) => {
    const any = ['any-mtls', 'any-application-tls', 'any-plaintext'];
    expect(names(inbound({ ports: [port(8080, mode)] }))).toEqual([...own, ...expected, ...any]);
  });

  test.each<[Mode, string[]]>([
    ['Permissive', ['3306-mtls', '3306-plaintext']],
    ['Disabled', ['3306-mtls', '3306-plaintext']],
    ['Strict', ['3306-mtls', '3306-refused']],
  ])('whose server speaks first and that is %s', (mode, expected) => {
    const found = names(inbound({ ports: [port(3306, mode, true)] }));
    expect(found.filter((name) => name.startsWith('3306'))).toEqual(expected);
  });

  test('that nobody declares have the mode of the others', () => {
    expect(names(inbound({ others: 'Strict' }))).toEqual([...own, 'any-mtls', 'any-mtls-unmarked']);
  });

  test('of the proxy itself lead nowhere, and cannot be declared', () => {
    const declared = Object.values(proxyPorts).map((number) => port(number, 'Disabled'));
    expect(inboundListener(inbound({ ports: declared }))).toEqual(inboundListener(inbound()));
    for (const name of own) expect(JSON.stringify(named(inbound()).get(name))).toContain('"cluster":"blackhole"');
  });
});

const anyPort = fc.record({
  number: fc.constantFrom(80, 443, 3306, 8080, 15_006, 15_008, 65_535),
  mode: fc.constantFrom(...modes),
  serverFirst: fc.boolean(),
});
const anyInbound = fc.record({
  trustDomain: fc.constantFrom('cluster.local', 'example.org'),
  ipv6: fc.boolean(),
  others: fc.constantFrom(...modes),
  ports: fc.uniqueArray(anyPort, { selector: ({ number }) => number }),
});

/** The same pod with every port in another mode. */
const inMode = (of: Inbound, mode: Mode): Inbound => ({
  ...of,
  others: mode,
  ports: of.ports.map((one) => ({ ...one, mode })),
});

/** Every message in it, at any depth. */
function* everyMessage(value: unknown): Generator<Record<string, unknown>> {
  if (Array.isArray(value)) for (const item of value) yield* everyMessage(item);
  if (!isRecord(value)) return;
  yield value;
  for (const item of Object.values(value)) yield* everyMessage(item);
}

describe('whatever the pod and the modes', () => {
  const holds = (check: (of: Inbound) => void) => fc.assert(fc.property(anyInbound, check), { numRuns: 300 });

  test('mutual TLS is the same in all modes, so that a switch leaves it alone', () => {
    holds((of) => {
      const strict = named(inMode(of, 'Strict'));
      const permissive = named(inMode(of, 'Permissive'));
      const mutual = [...permissive.keys()].filter((name) => name.endsWith('-mtls'));
      expect(mutual.length).toBeGreaterThan(0);
      for (const name of mutual) expect(strict.get(name)).toEqual(permissive.get(name));
    });
  });

  test('Disabled is Permissive, byte for byte', () => {
    holds((of) => {
      expect(JSON.stringify(inboundListener(inMode(of, 'Disabled')))).toBe(
        JSON.stringify(inboundListener(inMode(of, 'Permissive'))),
      );
    });
  });

  test('only chains differ between modes: all else would drain every connection', () => {
    holds((of) => {
      const { filter_chains: _, ...strict } = inboundListener(inMode(of, 'Strict'));
      const { filter_chains: __, ...permissive } = inboundListener(inMode(of, 'Permissive'));
      expect(strict).toEqual(permissive);
      expect(inboundClusters(inMode(of, 'Strict'))).toEqual(inboundClusters(inMode(of, 'Permissive')));
    });
  });

  test('there is no default chain, by which plaintext would enter', () => {
    holds((of) => {
      expect(inboundListener(of)).not.toHaveProperty('default_filter_chain');
    });
  });

  test('nothing leads from plaintext to the application of a Strict port', () => {
    holds((of) => {
      for (const chain of chainsOf(inMode(of, 'Strict'))) {
        const text = JSON.stringify(chain);
        const open = chain['transport_socket'] === undefined;
        if (open) expect(text).toContain('"cluster":"blackhole"');
        else expect(text).toContain('"require_client_certificate":true');
      }
    });
  });

  test('no silent connection is ended', () => {
    holds((of) => {
      for (const message of everyMessage(inboundListener(of)))
        if (String(message['@type']).endsWith('TcpProxy')) expect(message['idle_timeout']).toBe('0s');
    });
  });

  test('no two chains match the same, which Envoy refuses', () => {
    holds((of) => {
      const matches = chainsOf(of).map((chain) => JSON.stringify(chain['filter_chain_match']));
      expect(new Set(matches).size).toBe(matches.length);
    });
  });

  test('the order in which ports are named means nothing', () => {
    holds((of) => {
      expect(inboundListener({ ...of, ports: of.ports.toReversed() })).toEqual(inboundListener(of));
    });
  });

  test('every cluster that is named is there', () => {
    holds((of) => {
      const there = new Set(inboundClusters(of).map(({ name }) => name));
      for (const message of everyMessage(inboundListener(of)))
        if (typeof message['cluster'] === 'string') expect(there).toContain(message['cluster']);
    });
  });

  test('IPv6 is there only where the pod has it', () => {
    holds((of) => {
      expect(JSON.stringify([inboundListener(of), inboundClusters(of)]).includes('::')).toBe(of.ipv6);
    });
  });
});
