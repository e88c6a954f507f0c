import { type BadSample, duplicate, many, repeat, tooLong, tooMany } from './sample.ts';

const label63 = repeat(63);
const dns = (name: string): object => ({ secretName: 'web', dnsNames: [name] });
const ip = (address: string): object => ({ secretName: 'web', ipAddresses: [address] });
const uri = (text: string): object => ({ secretName: 'web', uris: [text] });
const email = (text: string): object => ({ secretName: 'web', emailAddresses: [text] });
const notDns = { field: 'spec.dnsNames[0]', message: 'not a DNS name: write labels of letters' };
const isAddress = { field: 'spec.dnsNames[0]', message: 'write addresses under ipAddresses' };
const wildcard = { field: 'spec.dnsNames[0]', message: '"*" may only be the whole first label' };
const notIp = { field: 'spec.ipAddresses[0]', message: 'not an IP address: write IPv4 as in "192.0.2.1"' };
const notUri = { field: 'spec.uris[0]', message: 'not an absolute URI: write scheme and host in lower case' };
const notEmail = { field: 'spec.emailAddresses[0]', message: 'not an e-mail address: write ASCII' };

/** WorkloadCertificates with one name that is none. */
export const badNames: readonly BadSample[] = [
  // DNS names
  { title: 'an empty DNS name', spec: dns(''), ...notDns },
  { title: 'a DNS name with a space', spec: dns('web shop.svc'), ...notDns },
  { title: 'a DNS name with NUL', spec: dns('web.shop.svc\u0000.evil.example'), ...notDns },
  { title: 'a DNS name with a line break', spec: dns('web.shop.svc\n'), ...notDns },
  { title: 'a DNS name with CR', spec: dns('web\r.shop.svc'), ...notDns },
  { title: 'a URL as DNS name', spec: dns('https://web.shop.svc'), ...notDns },
  { title: 'a port in a DNS name', spec: dns('web.shop.svc:443'), ...notDns },
  { title: 'an empty label', spec: dns('web..svc'), ...notDns },
  { title: 'a dot at the beginning', spec: dns('.shop.svc'), ...notDns },
  { title: 'a dash at the end of a label', spec: dns('web-.shop.svc'), ...notDns },
  { title: 'a label of 64 characters', spec: dns(`${label63}a.shop.svc`), ...notDns },
  { title: 'an invisible character in a DNS name', spec: dns('we\u200bb.shop.svc'), ...notDns },
  {
    title: 'a DNS name of 254 characters',
    spec: dns(`${`${label63}.`.repeat(3)}${repeat(62)}`),
    field: 'spec.dnsNames[0]',
    ...tooLong,
  },
  {
    title: 'a dot at the end',
    spec: dns('web.shop.svc.'),
    field: 'spec.dnsNames[0]',
    message: 'write the name without the dot at its end',
  },
  { title: 'an IPv4 address as DNS name', spec: dns('192.0.2.1'), ...isAddress },
  { title: 'an IPv6 address as DNS name', spec: dns('2001:db8::1'), ...isAddress },
  { title: 'a DNS name that ends in a number', spec: dns('web.0x7f'), ...isAddress },
  { title: 'an old notation of an address', spec: dns('127.1'), ...isAddress },
  { title: 'a wildcard in the middle', spec: dns('web.*.svc'), ...wildcard },
  { title: 'a wildcard within a label', spec: dns('w*.shop.svc'), ...wildcard },
  { title: 'two wildcards', spec: dns('*.*.svc'), ...wildcard },
  { title: 'a wildcard alone', spec: dns('*'), ...wildcard },
  { title: 'a wildcard for a top-level domain', spec: dns('*.com'), ...wildcard },
  {
    title: 'a DNS name twice',
    spec: { secretName: 'web', dnsNames: ['a.b', 'a.b'] },
    field: 'spec.dnsNames[1]',
    ...duplicate,
  },
  {
    title: '101 DNS names',
    spec: { secretName: 'web', dnsNames: many(101, (index) => `n${index}.svc`) },
    field: 'spec.dnsNames',
    ...tooMany,
  },
  {
    title: 'a text for a list',
    spec: { secretName: 'web', dnsNames: 'web.shop.svc' },
    field: 'spec.dnsNames',
    message: 'must be of type array',
    parser: 'expected array',
  },

  // IP addresses
  { title: 'a name as IP address', spec: ip('web.shop.svc'), ...notIp },
  { title: 'leading zeros', spec: ip('192.0.02.1'), ...notIp },
  { title: 'a prefix length', spec: ip('192.0.2.1/32'), ...notIp },
  { title: 'a zone', spec: ip('fe80::1%eth0'), ...notIp },
  { title: 'brackets', spec: ip('[2001:db8::1]'), ...notIp },
  { title: 'IPv4 as IPv6', spec: ip('::ffff:192.0.2.1'), ...notIp },
  { title: 'IPv4 as IPv6 in hexadecimal', spec: ip('::ffff:c000:201'), ...notIp },
  {
    title: 'an IPv6 address in capitals',
    spec: ip('2001:DB8::1'),
    field: 'spec.ipAddresses[0]',
    message: 'write "2001:db8::1"',
  },
  {
    title: 'an IPv6 address in full',
    spec: ip('2001:0db8:0:0:0:0:0:1'),
    field: 'spec.ipAddresses[0]',
    message: 'write "2001:db8::1"',
  },
  {
    title: 'the unspecified address',
    spec: ip('0.0.0.0'),
    field: 'spec.ipAddresses[0]',
    message: 'the unspecified address identifies nobody',
  },
  {
    title: 'an IP address twice',
    spec: { secretName: 'web', ipAddresses: ['::1', '::1'] },
    field: 'spec.ipAddresses[1]',
    ...duplicate,
  },

  // URIs
  {
    title: 'a SPIFFE ID',
    spec: uri('spiffe://cluster.local/ns/shop/sa/web'),
    field: 'spec.uris[0]',
    message: 'leave it out and set spec.serviceAccountName',
  },
  {
    title: 'a SPIFFE ID in capitals',
    spec: uri('SPIFFE://cluster.local/ns/shop/sa/web'),
    field: 'spec.uris[0]',
    message: 'SPIFFE IDs are given by the operator',
  },
  { title: 'a relative URI', spec: uri('/web'), ...notUri },
  { title: 'a host alone', spec: uri('shop.example.com'), ...notUri },
  { title: 'a URI without host', spec: uri('https:///web'), ...notUri },
  { title: 'a URI in capitals', spec: uri('https://Shop.example.com/'), ...notUri },
  { title: 'a URI beyond ASCII', spec: uri('https://bücher.example/'), ...notUri },
  { title: 'a URI with a space', spec: uri('https://shop.example.com/a b'), ...notUri },
  { title: 'a URI with a line break', spec: uri('https://shop.example.com/\n'), ...notUri },
  { title: 'a port that is no number', spec: uri('https://shop.example.com:http/'), ...notUri },
  { title: 'a wildcard in a URI', spec: uri('https://shop.example.com/*'), ...notUri },
  {
    title: 'a broken percent-encoding',
    spec: uri('https://shop.example.com/%zz'),
    field: 'spec.uris[0]',
    message: '"%" must be followed by two hexadecimal digits',
  },
  {
    title: 'a percent sign at the end',
    spec: uri('https://shop.example.com/%4'),
    field: 'spec.uris[0]',
    message: '"%" must be followed by two hexadecimal digits',
  },
  {
    title: 'a user in a URI',
    spec: uri('https://user:pw@shop.example.com/'),
    field: 'spec.uris[0]',
    message: 'carries no user or password',
  },
  { title: 'a fragment', spec: uri('https://shop.example.com/#top'), field: 'spec.uris[0]', message: 'leave out "#"' },
  {
    title: 'a path segment ..',
    spec: uri('https://shop.example.com/a/../b'),
    field: 'spec.uris[0]',
    message: 'write the path without them',
  },
  {
    title: 'an encoded path segment ..',
    spec: uri('https://shop.example.com/a/%2e%2E'),
    field: 'spec.uris[0]',
    message: 'write the path without them',
  },
  { title: 'a URI of 2049 characters', spec: uri(`urn:x:${repeat(2043)}`), field: 'spec.uris[0]', ...tooLong },

  // E-mail addresses
  { title: 'an address without domain', spec: email('ops'), ...notEmail },
  { title: 'a display name', spec: email('Ops <ops@example.com>'), ...notEmail },
  { title: 'a domain without dot', spec: email('ops@localhost'), ...notEmail },
  { title: 'two @', spec: email('a@b@example.com'), ...notEmail },
  { title: 'a dot at the end of the local part', spec: email('ops.@example.com'), ...notEmail },
  {
    title: 'a local part of 65 characters',
    spec: email(`${repeat(65)}@example.com`),
    field: 'spec.emailAddresses[0]',
    message: 'more than 64 characters stand before the "@"',
  },
  {
    title: 'a wildcard for e-mail addresses',
    spec: email('*@example.com'),
    field: 'spec.emailAddresses[0]',
    message: 'write each of them',
  },
  { title: 'an e-mail address beyond ASCII', spec: email('öps@example.com'), ...notEmail },
  { title: 'an e-mail address with a line break', spec: email('ops@example.com\r\nBcc: x'), ...notEmail },
];
