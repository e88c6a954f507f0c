/** Our bytes of Envoy's messages, judged by the packages that Envoy's authors generate. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { modes } from '../../src/api/index.ts';
import {
  type Endpoint,
  inboundClusters,
  inboundListener,
  outboundClusters,
  outboundListener,
  type ProbeRoute,
  podCluster,
  probeClusters,
  probeListener,
  refusedCluster,
  serviceCluster,
  serviceEndpoints,
  type TypedMessage,
} from '../../src/envoy/index.ts';
import { decode, encode } from '../../src/xds/envoyApi.ts';
import { decodeRequest, encodeResource, encodeResponse } from '../../src/xds/protocol.ts';
import { run } from '../support/command.ts';
import { goProgram } from '../support/goProgram.ts';
import { printProgress } from '../support/progress.ts';

const program = await goProgram(join(import.meta.dirname, 'envoyapi'), printProgress);

interface Question {
  readonly json: TypedMessage;
  readonly bytes: Uint8Array;
}

/** What is wrong with each; '': nothing. */
async function judge(questions: readonly Question[]): Promise<string[]> {
  const child = spawn(program, ['judge'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const output = text(child.stdout);
  child.stdin.end(
    questions
      .map(({ json, bytes }) => `${JSON.stringify({ json, bytes: Buffer.from(bytes).toString('base64') })}\n`)
      .join(''),
  );
  const lines = (await output).trimEnd().split('\n');
  return lines.map((line) => z.object({ error: z.string() }).parse(JSON.parse(line)).error);
}

const ours = (json: TypedMessage): Question => ({ json, bytes: encode(json) });

test('what is known of Envoy’s API here is what its authors’ packages say', async () => {
  const { stdout } = await run(program, ['descriptor']);
  const committed = readFileSync(join(import.meta.dirname, '..', '..', 'src', 'xds', 'envoyApi.json'), 'utf8');
  // To bring it up to date: the program's output into that file.
  const name = (line: string): string => /"name":"([^"]*\.proto)"/.exec(line)?.[1] ?? line.slice(0, 80);
  const [said, known] = [stdout.split('\n'), committed.split('\n')];
  expect(said.filter((line) => !known.includes(line)).map(name)).toEqual([]);
  expect(known.filter((line) => !said.includes(line)).map(name)).toEqual([]);
});

const port = fc.integer({ min: 1, max: 65_535 });
const mode = fc.constantFrom(...modes);
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const ipv4 = fc.ipV4();
const trustDomain = fc.domain();
const peer = fc.option(
  fc.record({
    spiffeId: fc.tuple(trustDomain, name, name).map(([td, ns, sa]) => `spiffe://${td}/ns/${ns}/sa/${sa}`),
    serverFirstPort: fc.option(port, { nil: undefined }),
  }),
  { nil: undefined },
);
const endpoint: fc.Arbitrary<Endpoint> = fc.record({ address: ipv4, port, peer });
const inbound = fc.record({
  trustDomain,
  ipv6: fc.boolean(),
  others: mode,
  ports: fc.uniqueArray(fc.record({ number: port, mode, serverFirst: fc.boolean() }), {
    selector: ({ number }) => number,
    maxLength: 8,
  }),
});
const route: fc.Arbitrary<ProbeRoute> = fc.record({
  path: name.map((text) => `/probe/${text}`),
  port,
  ask: fc.oneof(
    fc.record({ by: fc.constantFrom('http' as const, 'https' as const), path: fc.webPath().map((path) => `/${path}`) }),
    fc.record({ by: fc.constant('tcp' as const) }),
    fc.record({ by: fc.constant('grpc' as const), service: fc.oneof(fc.constant(''), name) }),
  ),
});
const probes = fc.record({ podAddress: ipv4, ipv6: fc.boolean(), routes: fc.array(route, { maxLength: 6 }) });
const ranges = fc.array(fc.record({ address: ipv4, length: fc.integer({ min: 0, max: 32 }) }), {
  minLength: 1,
  maxLength: 4,
});

describe('every message that is rendered', () => {
  const everything: fc.Arbitrary<TypedMessage[]> = fc
    .record({ inbound, probes, outbound: fc.record({ ranges, ipv6: fc.boolean() }), trustDomain, address: ipv4, port })
    .chain((drawn) => fc.array(endpoint, { maxLength: 5 }).map((endpoints) => ({ ...drawn, endpoints })))
    .map(({ endpoints, ...drawn }) => {
      const destination = `dst|${drawn.address}:${drawn.port}`;
      return [
        inboundListener(drawn.inbound),
        ...inboundClusters(drawn.inbound),
        probeListener(drawn.probes),
        ...probeClusters(drawn.probes),
        outboundListener(drawn.outbound),
        ...outboundClusters(),
        serviceCluster(
          destination,
          endpoints.flatMap(({ peer }) => peer ?? []),
          drawn.trustDomain,
        ),
        serviceEndpoints(destination, endpoints),
        ...endpoints.map((one) => podCluster(destination, one)),
        refusedCluster(destination),
      ];
    });

  test('is the same to Go, and keeps Envoy’s rules', async () => {
    const messages = fc.sample(everything, 300).flat();
    expect(messages.length).toBeGreaterThan(3_000);
    const wrong = (await judge(messages.map(ours))).filter((error) => error !== '');
    expect(wrong).toEqual([]);
  });

  test('has equal bytes where it is equal', () => {
    fc.assert(
      fc.property(everything, (messages) => {
        for (const message of messages) {
          expect(Buffer.compare(encode(message), encode(structuredClone(message)))).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });
});

test('the judge finds what differs, and what breaks a rule', async () => {
  const listener = inboundListener({ trustDomain: 'a.example', ipv6: false, others: 'Strict', ports: [] });
  const other = inboundListener({ trustDomain: 'b.example', ipv6: false, others: 'Strict', ports: [] });
  const lawless = { ...refusedCluster('x'), connect_timeout: '-5s' };
  const [differs, broken] = await judge([{ json: listener, bytes: encode(other) }, ours(lawless)]);
  expect(differs).toContain('differs');
  expect(broken).toContain('ConnectTimeout');
});

test('responses are made of the bytes of their resources', async () => {
  const cluster = refusedCluster('dst|192.0.2.1:80');
  const type = cluster['@type'];
  const resource = encodeResource(cluster.name, cluster);
  const json = {
    '@type': 'type.googleapis.com/envoy.service.discovery.v3.DeltaDiscoveryResponse',
    type_url: type,
    nonce: '7',
    removed_resources: ['gone', 'gone too'],
    resources: [{ name: cluster.name, version: resource.version, resource: cluster }],
  };
  const bytes = encodeResponse({ type, nonce: '7', resources: [resource], removed: ['gone', 'gone too'] });
  expect(await judge([{ json, bytes }])).toEqual(['']);
});

describe('a request', () => {
  const REQUEST = 'type.googleapis.com/envoy.service.discovery.v3.DeltaDiscoveryRequest';

  test('is read as it was written', () => {
    const bytes = encode({
      '@type': REQUEST,
      node: { id: 'uid', cluster: 'shop/web-0', metadata: { some: 'thing' } },
      type_url: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      resource_names_subscribe: ['*', 'a'],
      resource_names_unsubscribe: ['b'],
      initial_resource_versions: { a: '1' },
      response_nonce: '3',
      error_detail: { code: 3, message: 'no such thing' },
    });
    expect(decodeRequest(bytes)).toEqual({
      node: { id: 'uid', cluster: 'shop/web-0' },
      type: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      subscribe: ['*', 'a'],
      unsubscribe: ['b'],
      initialVersions: new Map([['a', '1']]),
      nonce: '3',
      error: 'no such thing',
    });
  });

  test('of hostile bytes is refused, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

test.each([
  ['a field that Envoy does not know', { name: 'x', nonsense: 1 }, /nonsense/],
  ['a value that is none', { name: 'x', type: 'SOMETIMES' }, /SOMETIMES/],
  ['a number where text belongs', { name: 7 }, /name/],
])('%s is an error', (_, fields, message) => {
  expect(() => encode({ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', ...fields })).toThrow(message);
});

test('a type that is not known is an error', () => {
  expect(() => encode({ '@type': 'type.googleapis.com/envoy.config.Nonsense' })).toThrow(/Nonsense/);
  expect(() => decode('type.googleapis.com/envoy.config.Nonsense', Buffer.alloc(0))).toThrow(/Nonsense/);
});
