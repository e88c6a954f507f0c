import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCertificateAuthority } from '../../src/api/certificateAuthority.ts';
import { certificateAuthorityKind, type Kind, mtlsPolicyKind, workloadCertificateKind } from '../../src/api/kinds.ts';
import { InvalidObjectError } from '../../src/api/metadata.ts';
import { parseMTLSPolicy } from '../../src/api/mtlsPolicy.ts';
import { parseWorkloadCertificate } from '../../src/api/workloadCertificate.ts';
import type { Cluster } from '../cluster/index.ts';
import { causes, record, send } from './control.ts';

// Each rule is written twice, in CEL and in TypeScript: here the two are asked about the same generated objects.

/** Texts near the border of what the rules take: fragments of names, in an order that chance gives. */
const fragments = [
  ...'a web svc example.com xn--a ü 中 𝔘 A _ - . .. * *. @ / // : # ? % %2e %zz \' " \\ https: https:// urn: spiffe: mailto:'.split(
    ' ',
  ),
  ...'0 1 127 0x 192.0.2.1 192.0.2.0/24 :: 2001:db8::1 ::ffff:1.2.3.4 [::1] /32 1d 12h 30m 5s 1m mtls-operator.io/ kubernetes.io/'.split(
    ' ',
  ),
  ...[' ', '\u0000', '\n', '\u00a0', '\u200b'],
];
const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...fragments), { minLength: 1, maxLength: 5 }).map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom('a'.repeat(63), 'a'.repeat(64), 'a'.repeat(65), `${'a'.repeat(63)}.b`) },
);
/** Mostly what is right, so that objects as a whole are often taken. */
const near = (...right: string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...right) }, { weight: 1, arbitrary: text });
const duration = near('1m', '24h', '1d', '12h', '825d', '8h', '60s', '4h', '7d', '42d');
const some = (...right: string[]): fc.Arbitrary<string[]> => fc.array(near(...right), { maxLength: 2 });
const dnsNames = some('web.shop.svc', '*.web.shop.svc', 'Web.Example.com', 'bücher.example', 'web', '_a.b');
const ipAddresses = some('192.0.2.1', '2001:db8::1', '::1', '10.0.0.1');
const emailAddresses = some('ops@example.com', "o'x+y@a.b");
const uris = some('https://shop.example.com/web', 'urn:example:web', 'https://[::1]:8443/a?b');
const labels = fc.dictionary(near('team', 'example.com/team', 'app.kubernetes.io/name'), near('web', ''), {
  maxKeys: 2,
});
const maybe = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });
const subject = fc.record({
  organizations: maybe(some('Example Ltd', 'Shop')),
  countries: maybe(fc.array(fc.constantFrom('DE', 'de', 'DEU', 'D1'))),
  serialNumber: maybe(near('INV-1')),
});
const privateKey = fc.record({
  algorithm: maybe(fc.constantFrom('ECDSA', 'RSA', 'Ed25519', 'DSA')),
  size: maybe(fc.constantFrom(256, 384, 521, 2048, 3072, 4096, 0, -1)),
});

const output = fc.record({
  type: fc.constantFrom('DER', 'CombinedPEM', 'Docker', 'EnvoySDS', 'PKCS12', 'JKS'),
  passwordSecretRef: maybe(
    fc.record({ name: near('web-keystore', 'web'), key: maybe(near('password', '..data', '.')) }),
  ),
  alias: maybe(near('web', 'Web', 'web-1')),
});

const workloadCertificateSpec = fc.record({
  secretName: near('web'),
  serviceAccountName: maybe(near('web')),
  dnsNames: maybe(dnsNames),
  ipAddresses: maybe(ipAddresses),
  uris: maybe(uris),
  emailAddresses: maybe(emailAddresses),
  commonName: maybe(near('replicator', 'Müller & Söhne')),
  subject: maybe(subject),
  duration: maybe(duration),
  renewBefore: maybe(duration),
  usages: maybe(
    fc.array(fc.constantFrom('server auth', 'client auth', 'digital signature', 'key encipherment'), { maxLength: 5 }),
  ),
  privateKey: maybe(
    fc
      .tuple(privateKey, fc.record({ encoding: maybe(fc.constantFrom('PKCS8', 'PKCS1', 'SEC1')) }))
      .map((parts) => Object.assign({}, ...parts)),
  ),
  secretTemplate: maybe(fc.record({ labels: maybe(labels), annotations: maybe(labels) })),
  outputs: maybe(fc.array(output, { maxLength: 3 })),
  restart: maybe(
    fc.array(fc.record({ kind: fc.constantFrom('Deployment', 'StatefulSet', 'Pod'), name: near('web') }), {
      maxLength: 3,
    }),
  ),
});

const certificateAuthoritySpec = fc.record({
  trustDomain: near('cluster.local'),
  selfSigned: maybe(
    fc.record({
      root: maybe(fc.record({ duration: maybe(duration), privateKey: maybe(privateKey) })),
      issuing: maybe(fc.record({ duration: maybe(duration), privateKey: maybe(privateKey) })),
    }),
  ),
  provided: maybe(fc.record({ secretName: near('ca') })),
  maxCertificateDuration: maybe(duration),
  names: maybe(
    fc.array(
      fc.record({
        namespaces: maybe(
          fc.record({
            matchLabels: maybe(labels),
            matchExpressions: maybe(
              fc.array(
                fc.record({
                  key: near('team'),
                  operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
                  values: maybe(some('a', '')),
                }),
                { maxLength: 2 },
              ),
            ),
          }),
        ),
        serviceAccounts: maybe(some('web')),
        dnsNames: maybe(dnsNames),
        singleLabelNames: maybe(some('cache')),
        ipAddresses: maybe(some('192.0.2.0/24', '::/0', '::1')),
        commonNames: maybe(some('replicator')),
        subjects: maybe(fc.array(subject, { maxLength: 2 })),
        uris: maybe(some('https://a.example/*', 'urn:x:*')),
        emailAddresses: maybe(some('*@example.com', 'ops@example.com')),
      }),
      { maxLength: 2 },
    ),
  ),
});

const mode = near('Strict', 'Permissive', 'Disabled');
const until = near(
  '2027-03-01T00:00:00Z',
  '2028-02-29T00:00:00.5+01:00',
  '2027-02-29T00:00:00Z',
  '2027-04-31T00:00:00Z',
);
const portNumber = fc.constantFrom(1, 80, 80, 8080, 65_535, 65_536, 0, -1);
const mtlsPolicySpec = fc.record({
  selector: maybe(fc.record({ matchLabels: maybe(labels) })),
  mode: maybe(mode),
  ports: maybe(
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.record({ port: fc.constantFrom(80, 443, 8080), mode, until: maybe(until) }) },
        {
          weight: 8,
          arbitrary: fc.record({ portName: near('http', 'grpc', 'metrics'), mode, reason: maybe(near('x')) }),
        },
        {
          weight: 1,
          arbitrary: fc.record({ port: maybe(portNumber), portName: maybe(near('http', '80')), mode: maybe(mode) }),
        },
      ),
      { maxLength: 3 },
    ),
  ),
  exceptions: maybe(
    fc.array(
      fc.record({
        ports: maybe(fc.array(portNumber, { maxLength: 2 })),
        portNames: maybe(some('http')),
        cidrs: some('192.0.2.0/24', '192.0.2.1/24', '::/0', '2001:db8::/32', '192.0.2.1'),
        reason: near('health checks'),
        until: maybe(until),
      }),
      { maxLength: 1 },
    ),
  ),
  guard: maybe(fc.record({ mode: maybe(near('Enforce', 'Ignore')), window: maybe(duration) })),
  minimum: maybe(mode),
});

interface Verdict {
  readonly fields: readonly string[];
  readonly spec: unknown;
}

async function apiServerSays(cluster: Cluster, kind: Kind, object: object): Promise<Verdict> {
  const answer = await send(
    cluster,
    'POST',
    `${kind.path(kind.scope === 'Namespaced' ? 'shop' : undefined)}?dryRun=All`,
    object,
  );
  const fields = causes(answer).map(({ field }) => field);
  // What is wrong in its shape keeps the API server from looking at the rules: then only that much can be compared.
  return { fields: [...new Set(fields)].sort(), spec: fields.length === 0 ? record(answer.body)['spec'] : undefined };
}

function parserSays(parse: (object: unknown) => { readonly spec: unknown }, object: object): Verdict {
  try {
    return { fields: [], spec: parse(object).spec };
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    return { fields: [...new Set(error.problems.map(({ path }) => path))].sort(), spec: undefined };
  }
}

/** Rules on an object are only asked by the parser when its fields are right; the API server asks all. */
function agree(server: Verdict, parser: Verdict): void {
  if (server.fields.includes('<nil>')) {
    expect(parser.fields).not.toEqual([]);
  } else {
    expect({
      refused: parser.fields.length > 0,
      surplus: parser.fields.filter((field) => !server.fields.includes(field)),
    }).toEqual({
      refused: server.fields.length > 0,
      surplus: [],
    });
    expect(parser.spec).toEqual(server.spec);
  }
}

/** @param numRuns some milliseconds each. */
export function testAgreement(cluster: () => Cluster, numRuns: number): void {
  test.each([
    { kind: mtlsPolicyKind, parse: parseMTLSPolicy, spec: mtlsPolicySpec },
    { kind: workloadCertificateKind, parse: parseWorkloadCertificate, spec: workloadCertificateSpec },
    { kind: certificateAuthorityKind, parse: parseCertificateAuthority, spec: certificateAuthoritySpec },
  ])(
    'the API server and the parser agree on $kind.kind',
    async ({ kind, parse, spec }) => {
      const object = (of: object): object => ({
        apiVersion: 'mtls-operator.io/v1alpha1',
        kind: kind.kind,
        metadata: { name: 'web', ...(kind.scope === 'Namespaced' ? { namespace: 'shop' } : {}) },
        spec: of,
      });
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(spec, async (generated) => {
          const sent = JSON.parse(JSON.stringify(object(generated)));
          const server = await apiServerSays(cluster(), kind, sent);
          agree(server, parserSays(parse, sent));
          if (server.fields.length === 0) taken++;
        }),
        { numRuns },
      );
      // Agreement on refusals alone would prove little. How many are taken is chance.
      expect(taken).toBeGreaterThan(0);
    },
    60_000 + numRuns * 100,
  );
}
