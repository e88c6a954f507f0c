import { expect, test } from 'vitest';
import { type ConstrainedNames, checkNameConstraints } from './constraints.ts';
import type { NameConstraintsRequest, SubtreesRequest } from './extensions.ts';
import { testCa } from './testing.ts';

const none: ConstrainedNames = { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] };
const refused = async (names: Partial<ConstrainedNames>, nameConstraints: NameConstraintsRequest) => {
  const { certificate } = await testCa({ nameConstraints });
  return checkNameConstraints({ ...none, ...names }, [certificate]).map((violation) => violation.name);
};

type Row = readonly [names: Partial<ConstrainedNames>, subtrees: SubtreesRequest, within: boolean];
const dns = (name: string, base: string, within: boolean): Row => [
  { dnsNames: [name] },
  { dnsDomains: [base] },
  within,
];
const ip = (name: string, base: string, within: boolean): Row => [
  { ipAddresses: [name] },
  { ipRanges: [base] },
  within,
];
const uri = (name: string, base: string, within: boolean): Row => [{ uris: [name] }, { uriDomains: [base] }, within];
const email = (name: string, base: string, within: boolean): Row => [
  { emailAddresses: [name] },
  { emailAddresses: [base] },
  within,
];

const clear: Row[] = [
  dns('example.com', 'example.com', true),
  dns('a.example.com', 'example.com', true),
  dns('a.b.example.com', 'EXAMPLE.com', true),
  dns('*.example.com', 'example.com', true),
  dns('notexample.com', 'example.com', false),
  dns('com', 'example.com', false),
  dns('example.com', '.example.com', false),
  dns('a.example.com', '.example.com', true),
  dns('anything', '', true),
  ip('10.1.2.3', '10.0.0.0/8', true),
  ip('11.1.2.3', '10.0.0.0/8', false),
  ip('10.1.2.3', '10.1.2.2/31', true),
  ip('10.1.2.4', '10.1.2.2/31', false),
  ip('10.1.2.3', '::/0', false),
  ip('2001:db8::1', '2001:db8::/32', true),
  ip('2001:db9::1', '2001:db8::/32', false),
  ip('2001:db8::1', '0.0.0.0/0', false),
  uri('https://example.com/x', 'example.com', true),
  uri('https://a.example.com:8443/x', '.example.com', true),
  uri('https://example.com/x', '.example.com', false),
  uri('https://example.org/example.com', 'example.com', false),
  uri('spiffe://example.com/ns/a', 'example.com', true),
  email('a@example.com', 'example.com', true),
  email('a@b.example.com', '.example.com', true),
  email('a@example.com', '.example.com', false),
  email('a@example.com', 'a@example.com', true),
  email('b@example.com', 'a@example.com', false),
];

test.each(clear)('%j within %j: %s, permitted and excluded alike', async (names, subtrees, within) => {
  expect((await refused(names, { permitted: subtrees })).length).toBe(within ? 0 : 1);
  expect((await refused(names, { excluded: subtrees })).length).toBe(within ? 1 : 0);
});

test.each<[string, Row]>([
  ['hosts below a URI domain: not to OpenSSL, but to Go', uri('https://a.example.com/', 'example.com', false)],
  ['mailboxes below a mail domain: likewise', email('a@b.example.com', 'example.com', false)],
  ['the local part in another case', email('A@example.com', 'a@example.com', false)],
  ['a host before a second colon', uri('https://example.com/a:b', 'example.com', false)],
  ['a host after user information', uri('https://u@example.com/', 'example.com', false)],
])('where verifiers disagree (%s) neither a permission nor an exclusion is relied on', async (_, [names, subtrees]) => {
  expect((await refused(names, { permitted: subtrees })).length).toBe(1);
  expect((await refused(names, { excluded: subtrees })).length).toBe(1);
});

test('a wildcard is refused where any of its names is excluded', async () => {
  const excluded = { dnsDomains: ['internal.example.com'] };
  expect(await refused({ dnsNames: ['*.example.com'] }, { excluded })).toEqual(['*.example.com']);
  expect(await refused({ dnsNames: ['*.internal.example.com'] }, { excluded })).toEqual(['*.internal.example.com']);
  expect(await refused({ dnsNames: ['*.b.example.com', '*.com'] }, { excluded })).toEqual([]);
});

test.each(['urn:x:y', 'https://192.0.2.1/', 'https://[2001:db8::1]/'])(
  '%s has no host name, which Go demands under any constraints',
  async (name) => {
    expect(await refused({ uris: [name] }, { permitted: { dnsDomains: ['svc'] } })).toEqual([name]);
  },
);

test('constraints of one kind say nothing of names of another', async () => {
  expect(
    await refused({ ipAddresses: ['192.0.2.1'], emailAddresses: ['a@b'] }, { permitted: { dnsDomains: ['svc'] } }),
  ).toEqual([]);
});

test('what is excluded stays so inside of what is permitted', async () => {
  const constraints = { permitted: { dnsDomains: ['svc'] }, excluded: { dnsDomains: ['kube-system.svc'] } };
  expect(await refused({ dnsNames: ['a.shop.svc', 'a.kube-system.svc', 'x.org'] }, constraints)).toEqual([
    'a.kube-system.svc',
    'x.org',
  ]);
});

test('a mapped address in a certificate of others is an IPv6 address', async () => {
  expect(await refused({ ipAddresses: ['::ffff:a01:203'] }, { permitted: { ipRanges: ['10.0.0.0/8'] } })).toHaveLength(
    1,
  );
  expect(await refused({ ipAddresses: ['::ffff:a01:203'] }, { permitted: { ipRanges: ['::/0'] } })).toHaveLength(0);
});

test('a common name counts as a DNS name where there is none, as for OpenSSL', async () => {
  const permitted = { dnsDomains: ['svc'] };
  expect(await refused({ commonName: 'web.example.com' }, { permitted })).toEqual(['web.example.com']);
  expect(await refused({ subject: { commonName: 'web.example.com' } }, { permitted })).toEqual(['web.example.com']);
  expect(await refused({ commonName: 'web.example.com', dnsNames: ['web.svc'] }, { permitted })).toEqual([]);
  expect(await refused({ commonName: 'John Doe' }, { permitted })).toEqual([]);
});

test('each CA of a chain is asked, and the violation names it', async () => {
  const a = await testCa({ subject: { commonName: 'a' }, nameConstraints: { permitted: { dnsDomains: ['svc'] } } });
  const b = await testCa({ subject: { commonName: 'b' } });
  const c = await testCa({ subject: { commonName: 'c' }, nameConstraints: { excluded: { dnsDomains: ['x.org'] } } });
  const violations = checkNameConstraints({ ...none, dnsNames: ['x.org'] }, [
    a.certificate,
    b.certificate,
    c.certificate,
  ]);
  expect(violations).toEqual([
    { name: 'x.org', ca: 'CN=a', message: '"x.org" is not permitted by the name constraints of the CA CN=a' },
    { name: 'x.org', ca: 'CN=c', message: '"x.org" is excluded by the name constraints of the CA CN=c' },
  ]);
});
