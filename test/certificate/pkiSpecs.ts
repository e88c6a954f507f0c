// Generated certificate specifications for pki.property.test.ts, each with what must come out. What must come out is known from how a
// specification was made (an IP address from its octets, an internationalised name from a table), never computed by the code under test.

import fc from 'fast-check';
import type { KeyEncoding, KeySpec, LeafRequest, Subject, Usage } from '../../src/pki/index.ts';

/** A name as it may be written, and as it must stand in the certificate. */
interface Written<Expected = string> {
  readonly written: string;
  readonly expected: Expected;
}

export interface LeafSpec {
  readonly request: LeafRequest;
  readonly encoding: KeyEncoding;
  /** Seconds before and after the time of verification. */
  readonly secondsBefore: number;
  readonly secondsAfter: number;
  readonly expected: {
    readonly dnsNames: readonly string[];
    /** Hexadecimal octets. */
    readonly ipAddresses: readonly string[];
    readonly uris: readonly string[];
    readonly emailAddresses: readonly string[];
    /** Dotted OID and value, in the order of the certificate. */
    readonly subject: readonly (readonly [string, string])[];
    readonly keyUsage: readonly ('digitalSignature' | 'keyEncipherment')[];
    readonly extendedKeyUsage: readonly string[];
    readonly publicKey: string;
  };
}

// ---------------------------------------------------------------- DNS names

const lowerCase = 'abcdefghijklmnopqrstuvwxyz';
const alphanumeric = `${lowerCase}0123456789`;

const textOf = (characters: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });

/** Not beginning with 'xn--' nor ending in '-'. */
const plainLabel = fc
  .tuple(textOf(alphanumeric, 1, 3), textOf(`${alphanumeric}-_`, 0, 10), textOf(alphanumeric, 0, 1))
  .map(([head, middle, tail]) => `${head}${middle.replace(/^-+/, '')}${tail === '' ? 'x' : tail}`)
  .filter((label) => !label.startsWith('xn--'))
  .map((label): Written => ({ written: label, expected: label }));

const longLabel = fc.constant('l'.repeat(63)).map((label): Written => ({ written: label, expected: label }));

/** From the test names of IANA and RFC 5891's examples: as written in Unicode, and the Punycode that was published for them. */
const internationalLabel = fc.constantFrom<Written>(
  { written: 'bücher', expected: 'xn--bcher-kva' },
  { written: 'BÜCHER', expected: 'xn--bcher-kva' },
  { written: 'münchen', expected: 'xn--mnchen-3ya' },
  { written: '例え', expected: 'xn--r8jz45g' },
  { written: '例子', expected: 'xn--fsqu00a' },
  { written: 'пример', expected: 'xn--e1afmkfd' },
  { written: 'παράδειγμα', expected: 'xn--hxajbheg2az3al' },
  { written: 'xn--bcher-kva', expected: 'xn--bcher-kva' },
);

const label = fc.oneof(
  { weight: 20, arbitrary: plainLabel },
  { weight: 2, arbitrary: internationalLabel },
  { weight: 1, arbitrary: longLabel },
);

const topLevel = fc.oneof(fc.constantFrom('svc', 'com', 'local', 'cluster', 'xn--fiqs8s'), textOf(lowerCase, 2, 8));

const hostName = fc.tuple(fc.array(label, { maxLength: 3 }), topLevel).map(
  ([labels, top]): Written => ({
    written: [...labels.map((part) => part.written), top].join('.'),
    expected: [...labels.map((part) => part.expected), top].join('.'),
  }),
);

const oddCase = (name: Written): fc.Arbitrary<Written> =>
  fc.nat(3).map((n) => (n === 0 ? { ...name, written: name.written.toUpperCase() } : name));

const dnsName = fc
  .tuple(hostName.chain(oddCase), fc.nat(5))
  .map(([name, n]) =>
    n === 0 && name.expected.includes('.') ? { written: `*.${name.written}`, expected: `*.${name.expected}` } : name,
  );

// ---------------------------------------------------------------- addresses

const ipv4 = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((octets): Written => ({ written: octets.join('.'), expected: Buffer.from(octets).toString('hex') }));

const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(0xffff) });

/** Written in full, with leading zeros and capitals, or shortened at some run of zeros. */
const ipv6 = fc
  .tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.nat(3), fc.nat(7))
  .filter(([groups]) => groups.slice(0, 5).some((g) => g !== 0) || groups[5] !== 0xffff)
  .map(([groups, style, from]): Written => {
    const expected = groups.map((g) => g.toString(16).padStart(4, '0')).join('');
    const texts = groups.map((g) => g.toString(16));
    if (style === 0) return { written: texts.map((text) => text.padStart(4, '0').toUpperCase()).join(':'), expected };
    let to = from;
    while (groups[to] === 0) to++;
    if (style === 1 || to === from) return { written: texts.join(':'), expected };
    return { written: `${texts.slice(0, from).join(':')}::${texts.slice(to).join(':')}`, expected };
  });

const ipAddress = fc.oneof(ipv4, ipv6);

// ---------------------------------------------------------------- URIs and e-mail addresses

const pathSegment = fc.oneof(
  textOf(`${alphanumeric}-._~`, 1, 8),
  textOf("!$&'()*+,;=:@", 1, 4),
  fc.constant('%C3%BC'),
  fc.constant(''),
);

const hostUri = fc
  .tuple(
    fc.constantFrom('https', 'HTTPS', 'ldap', 'a+b-c.d'),
    hostName.filter((name) => /^[ -~]*$/.test(name.written)).chain(oddCase),
    fc.option(fc.nat(65_535), { nil: undefined }),
    fc.array(pathSegment, { maxLength: 3 }),
    fc.constantFrom('', '?q=1,2', '#top', '?a/b?c#d'),
  )
  .map(([scheme, host, port, path, rest]): Written => {
    const tail = `${port === undefined ? '' : `:${port}`}${path.map((part) => `/${part}`).join('')}${rest}`;
    return {
      written: `${scheme}://${host.written}${tail}`,
      expected: `${scheme.toLowerCase()}://${host.expected}${tail}`,
    };
  });

const hostlessUri = fc.oneof(
  fc.uuid().map((uuid) => `urn:uuid:${uuid}`),
  fc.constantFrom('https://192.0.2.7/path', 'https://[2001:db8::7]:8443', 'tag:example.com,2026:x'),
);

const spiffeSegment = textOf(`${alphanumeric}ABC-._`, 1, 12).filter((text) => text !== '.' && text !== '..');
const spiffeUri = fc
  .tuple(textOf(`${alphanumeric}-._`, 1, 20), fc.array(spiffeSegment, { minLength: 1, maxLength: 5 }))
  // Go reads the trust domain as a host name, where empty labels are invalid.
  .filter(([domain]) => domain.split('.').every((part) => part !== ''))
  .map(([domain, path]) => `spiffe://${domain}/${path.join('/')}`);

const emailAddress = fc
  .tuple(
    fc.array(textOf(`${alphanumeric}ABC!#$%&'*+-/=?^_\`{|}~`, 1, 8), { minLength: 1, maxLength: 3 }),
    hostName.chain(oddCase),
  )
  .map(
    ([local, domain]): Written => ({
      written: `${local.join('.')}@${domain.written}`,
      expected: `${local.join('.')}@${domain.expected}`,
    }),
  );

// ---------------------------------------------------------------- subject

const visible = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...`${alphanumeric}ABC '()+,-./:=?`) },
  { weight: 2, arbitrary: fc.constantFrom(...'*@_&"<>;#\\!%|~') },
  { weight: 1, arbitrary: fc.constantFrom(...'äßλйç日本語한국어🔐') },
);
const subjectText = (maxLength: number) =>
  fc
    .string({ unit: visible, minLength: 1, maxLength })
    .map((text) => text.trim())
    .filter((text) => text !== '');

const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const few = (value: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.uniqueArray(value, { maxLength: 3 }) },
  );

const subject: fc.Arbitrary<Subject> = fc.record({
  commonName: some(
    fc.oneof(
      subjectText(64),
      hostName.map((name) => name.expected).filter((name) => name.length <= 64),
    ),
  ),
  organizations: few(subjectText(64)),
  organizationalUnits: few(subjectText(64)),
  countries: few(textOf('ABCDEFGHIJKLMNOPQRSTUVWXYZ', 2, 2)),
  localities: few(subjectText(128)),
  provinces: few(subjectText(128)),
  streetAddresses: few(subjectText(128)),
  postalCodes: few(subjectText(40)),
  serialNumber: some(textOf(`${alphanumeric}ABC-/`, 1, 64)),
});

function expectedSubject(s: Subject): [string, string][] {
  const of = (id: string, values: readonly string[] | undefined) =>
    (values ?? []).map((value): [string, string] => [id, value]);
  return [
    ...of('2.5.4.6', s.countries),
    ...of('2.5.4.8', s.provinces),
    ...of('2.5.4.7', s.localities),
    ...of('2.5.4.9', s.streetAddresses),
    ...of('2.5.4.17', s.postalCodes),
    ...of('2.5.4.10', s.organizations),
    ...of('2.5.4.11', s.organizationalUnits),
    ...of('2.5.4.3', s.commonName === undefined ? [] : [s.commonName]),
    ...of('2.5.4.5', s.serialNumber === undefined ? [] : [s.serialNumber]),
  ];
}

// ---------------------------------------------------------------- keys and usages

const key: fc.Arbitrary<{ spec: KeySpec; encoding: KeyEncoding; text: string }> = fc.oneof(
  {
    weight: 80,
    arbitrary: fc.record({
      spec: fc.constantFrom<KeySpec>({ algorithm: 'ECDSA' }, { algorithm: 'ECDSA', size: 256 }),
      encoding: fc.constantFrom<KeyEncoding>('PKCS8', 'SEC1'),
      text: fc.constant('ECDSA 256'),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      spec: fc.constant<KeySpec>({ algorithm: 'ECDSA', size: 384 }),
      encoding: fc.constantFrom<KeyEncoding>('PKCS8', 'SEC1'),
      text: fc.constant('ECDSA 384'),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      spec: fc.constant<KeySpec>({ algorithm: 'Ed25519' }),
      encoding: fc.constant<KeyEncoding>('PKCS8'),
      text: fc.constant('Ed25519'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(2048, 3072, 4096).chain((size) =>
      fc.record({
        spec: fc.constant<KeySpec>({ algorithm: 'RSA', size }),
        encoding: fc.constantFrom<KeyEncoding>('PKCS8', 'PKCS1'),
        text: fc.constant(`RSA ${size}`),
      }),
    ),
  },
);

const tlsUsages: Usage[] = ['server auth', 'client auth'];

function expectedKeyUsage(usages: readonly Usage[], isRsa: boolean): LeafSpec['expected']['keyUsage'] {
  const named = usages.some((usage) => !tlsUsages.includes(usage));
  return isRsa && (usages.includes('key encipherment') || !named)
    ? ['digitalSignature', 'keyEncipherment']
    : ['digitalSignature'];
}

// ---------------------------------------------------------------- together

const list = (name: fc.Arbitrary<Written>) => fc.array(name, { maxLength: 3 });
const expectedOf = (names: readonly Written[]) => [...new Set(names.map((name) => name.expected))];
const writtenOf = (names: readonly Written[]) => names.map((name) => name.written);

/**
 * @param secondsBefore,secondsAfter how far notBefore and notAfter may lie from the time of verification
 * @param underConstraints leaves out URIs without a host name, which Go refuses below any name-constrained CA
 */
export function leafSpec(limits: {
  readonly secondsBefore: number;
  readonly secondsAfter: number;
  readonly underConstraints: boolean;
}): fc.Arbitrary<LeafSpec> {
  const anyUri = limits.underConstraints
    ? hostUri
    : fc.oneof(
        hostUri,
        hostlessUri.map((uri) => ({ written: uri, expected: uri })),
      );
  const uris = fc.oneof(
    { weight: 3, arbitrary: list(anyUri) },
    { weight: 2, arbitrary: spiffeUri.map((uri) => [{ written: uri, expected: uri }]) },
  );
  return fc
    .record({
      subject,
      key,
      dnsNames: list(dnsName),
      ipAddresses: list(ipAddress),
      uris,
      emailAddresses: list(emailAddress),
      usages: fc.subarray<Usage>(['client auth', 'digital signature', 'key encipherment', 'server auth']),
      secondsBefore: fc.nat(limits.secondsBefore),
      secondsAfter: fc.integer({ min: 1, max: limits.secondsAfter }),
    })
    .filter(
      (spec) =>
        [spec.dnsNames, spec.ipAddresses, spec.uris, spec.emailAddresses].some((names) => names.length > 0) ||
        spec.subject.commonName !== undefined,
    )
    .map((spec): LeafSpec => {
      const isRsa = spec.key.spec.algorithm === 'RSA';
      const usages = spec.usages.filter((usage) => isRsa || usage !== 'key encipherment');
      return {
        request: {
          subject: spec.subject,
          dnsNames: writtenOf(spec.dnsNames),
          ipAddresses: writtenOf(spec.ipAddresses),
          uris: writtenOf(spec.uris),
          emailAddresses: writtenOf(spec.emailAddresses),
          usages,
          key: spec.key.spec,
        },
        encoding: spec.key.encoding,
        secondsBefore: spec.secondsBefore,
        secondsAfter: spec.secondsAfter,
        expected: {
          dnsNames: expectedOf(spec.dnsNames),
          ipAddresses: expectedOf(spec.ipAddresses),
          uris: expectedOf(spec.uris),
          emailAddresses: expectedOf(spec.emailAddresses),
          subject: expectedSubject(spec.subject),
          keyUsage: expectedKeyUsage(usages, isRsa),
          extendedKeyUsage: [
            ...(usages.includes('server auth') ? ['serverAuth'] : []),
            ...(usages.includes('client auth') ? ['clientAuth'] : []),
          ],
          publicKey: spec.key.text,
        },
      };
    });
}
