/**
 * The form of every kind of name that a certificate can carry: what can be judged from the text alone. Whether a
 * namespace may have a name is the authority's to say, and the canonical spelling is the X.509 part's.
 */
import { canonicalCidr, canonicalIp } from './ip.ts';
import { matches, matchesNot, type Rule } from './rules.ts';

const DNS_EDGE = '[\\p{L}\\p{M}\\p{N}_*]';
const DNS_INNER = '[\\p{L}\\p{M}\\p{N}_*-]';
const DNS_LABEL = `${DNS_EDGE}(${DNS_INNER}{0,61}${DNS_EDGE})?`;
const DNS_SYNTAX = `^${DNS_LABEL}([.]${DNS_LABEL})*[.]?$`;
const dnsExpression = new RegExp(DNS_SYNTAX, 'u');
const ASCII_LABEL = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';

/**
 * DNS names. Internationalised names may be written in Unicode; they stand in the certificate as A-labels (xn--…). The
 * pattern lets through what the rules beside it refuse, so that one mistake gives one message.
 */
export const dnsNameRules: readonly Rule<string>[] = [
  {
    cel: "!isIP(self) && !self.matches(r'(^|[.])([0-9]+|0[xX][0-9a-fA-F]*)[.]?$')",
    holds: (name) => !/(^|[.])([0-9]+|0[xX][0-9a-fA-F]*)[.]?$/.test(name) && canonicalIp(name) === undefined,
    message: 'an IP address, or taken for one by its last label: write addresses under ipAddresses',
  },
  {
    cel: "!self.contains('*') || self.matches('^[*][.][^*.]+[.][^*]+$')",
    holds: (name) => !name.includes('*') || /^[*][.][^*.]+[.][^*]+$/.test(name),
    message: '"*" may only be the whole first label, with two labels or more after it: write "*.shop.svc"',
  },
  {
    cel: "!self.endsWith('.')",
    holds: (name) => !name.endsWith('.'),
    message: 'write the name without the dot at its end',
  },
  {
    cel: `isIP(self) || self.matches(r'${DNS_SYNTAX}')`,
    holds: (name) => dnsExpression.test(name) || canonicalIp(name) !== undefined,
    message:
      'not a DNS name: write labels of letters, digits and "-" (1 to 63 characters, no "-" first or last) joined by dots, ' +
      'as in "web.shop.svc"; no scheme, port, path or space',
  },
];

/** One label, without a wildcard. */
export const singleLabelNameRules: readonly Rule<string>[] = [
  matchesNot(
    '^([0-9]+|0[xX][0-9a-fA-F]*)$',
    'taken for an IP address: a single-label name needs a letter that is no hexadecimal prefix',
  ),
  matches(
    '^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$',
    'not a single label: write letters, digits and "-" without a dot, as in "cache"; names with dots go under dnsNames',
  ),
];

export const ipAddressRules: readonly Rule<string>[] = [
  {
    cel: 'isIP(self)',
    holds: (address) => canonicalIp(address) !== undefined,
    message:
      'not an IP address: write IPv4 as in "192.0.2.1" or IPv6 as in "2001:db8::1", without port, prefix length, ' +
      'zone or leading zeros, ' +
      'and IPv4 never as "::ffff:192.0.2.1"',
  },
  {
    cel: 'isIP(self) ? ip.isCanonical(self) : true',
    holds: (address) => canonicalIp(address) === address,
    message: 'not the canonical text of this address',
    detailed: {
      cel: `'not the canonical text of this address: write "%s"'.format([string(ip(self))])`,
      text: (address) => `not the canonical text of this address: write "${canonicalIp(address) ?? ''}"`,
    },
  },
  {
    cel: "self != '0.0.0.0' && self != '::'",
    holds: (address) => address !== '0.0.0.0' && address !== '::',
    message: 'the unspecified address identifies nobody: write the address that peers connect to',
  },
];

/** A CIDR or a single address. */
export const ipRangeRules: readonly Rule<string>[] = [
  {
    cel: 'isIP(self) || isCIDR(self)',
    holds: (range) => canonicalIp(range) !== undefined || canonicalCidr(range) !== undefined,
    message: 'neither a CIDR nor an IP address: write "192.0.2.0/24", "2001:db8::/32" or "192.0.2.1"',
  },
  {
    cel: 'isCIDR(self) ? string(cidr(self).masked()) == self : isIP(self) ? ip.isCanonical(self) : true',
    holds: (range) => (canonicalCidr(range) ?? canonicalIp(range) ?? range) === range,
    message: 'not the canonical text of this range',
    detailed: {
      cel: `'not the canonical text of this range: write "%s"'.format([isCIDR(self) ? string(cidr(self).masked()) : string(ip(self))])`,
      text: (range) =>
        `not the canonical text of this range: write "${canonicalCidr(range) ?? canonicalIp(range) ?? ''}"`,
    },
  },
];

/** A range of addresses. Everybody is no range: that is what a mode is for. */
export const cidrRules: readonly Rule<string>[] = [
  {
    cel: 'isCIDR(self)',
    holds: (range) => canonicalCidr(range) !== undefined,
    message: 'not a CIDR: write a range as in "192.0.2.0/24" or "2001:db8::/32", a single address as in "192.0.2.1/32"',
  },
  {
    cel: 'isCIDR(self) ? string(cidr(self).masked()) == self : true',
    holds: (range) => (canonicalCidr(range) ?? range) === range,
    message: 'not the canonical text of this range',
    detailed: {
      cel: `'not the canonical text of this range: write "%s"'.format([string(cidr(self).masked())])`,
      text: (range) => `not the canonical text of this range: write "${canonicalCidr(range) ?? ''}"`,
    },
  },
  {
    cel: 'isCIDR(self) ? cidr(self).prefixLength() > 0 : true',
    holds: (range) => !(canonicalCidr(range) ?? '').endsWith('/0'),
    message: 'every address there is: write an entry in ports with mode: Permissive instead',
  },
];

/** RFC 3986 in ASCII, scheme and host in lower case. User and fragment pass here, since rules of their own refuse them. */
function uriSyntax(wildcard: '' | '*'): string {
  const character = `[A-Za-z0-9._~!$&\\x27()+,;=:@%${wildcard}-]`;
  const host = `([^/?#@ ]*@)?([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?`;
  const query = `([?](${character}|[/?])*)?`;
  return `^[a-z][a-z0-9+.-]*:(//${host}(/(${character}|/)*)?|${character}(${character}|/)*)${query}(#.*)?$`;
}

const uriAdvice =
  'not an absolute URI: write scheme and host in lower case, ASCII only, as in "https://shop.example.com/web" or "urn:example:web"';

/** Absolute URIs (RFC 3986) within what RFC 5280 §4.2.1.6 admits; SPIFFE IDs are the operator's to give. */
export const uriRules: readonly Rule<string>[] = [
  {
    cel: "!self.lowerAscii().startsWith('spiffe:')",
    holds: (uri) => !uri.toLowerCase().startsWith('spiffe:'),
    message: 'SPIFFE IDs are given by the operator: leave it out and set spec.serviceAccountName',
  },
  matchesNot(
    '^[^/?#]*//[^/?#]*@',
    'a URI in a certificate carries no user or password: write it without what stands before the "@"',
  ),
  matchesNot('#', 'a fragment has no meaning in a certificate: leave out "#" and what follows'),
  matchesNot(
    '/([.]|%2[eE]){1,2}(/|[?#]|$)',
    'path segments "." and ".." are not resolved by verifiers: write the path without them',
  ),
  matchesNot('%([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)', '"%" must be followed by two hexadecimal digits'),
  matches(uriSyntax(''), uriAdvice),
];

/** A URI, or one that ends in `*` after a `/` or `:` behind the host. */
export const uriPatternRules: readonly Rule<string>[] = [
  ...uriRules.slice(0, -1),
  matches(uriSyntax('*'), uriAdvice),
  matchesNot(
    '^[^:]*:[*]|^[^:]*://[^/]*[*]|[^/:][*]$|[*].',
    '"*" stands for the rest of a URI, after the host: write it last and behind a "/" or ":", as in ' +
      '"https://shop.example.com/*"',
  ),
];

const EMAIL_ATOM = '[A-Za-z0-9!#$%&\\x27*+/=?^_`{|}~-]+';
const EMAIL_DOMAIN = `${ASCII_LABEL}([.]${ASCII_LABEL})+`;
const EMAIL_SYNTAX = `^${EMAIL_ATOM}([.]${EMAIL_ATOM})*@${EMAIL_DOMAIN}$`;
const emailAdvice =
  'not an e-mail address: write ASCII, with a full domain and no display name, as in "ops@example.com"';

const shortLocalPart = matchesNot('^[^@]{65,}@', 'more than 64 characters stand before the "@"');

export const emailAddressRules: readonly Rule<string>[] = [
  matchesNot('^[*]@', 'a certificate has no wildcard for e-mail addresses: write each of them'),
  matches(EMAIL_SYNTAX, emailAdvice),
  shortLocalPart,
];

/** An address, or `*@` for every mailbox of exactly that domain. */
export const emailPatternRules: readonly Rule<string>[] = [
  matches(EMAIL_SYNTAX, `${emailAdvice}, or "*@example.com" for every mailbox of a domain`),
  shortLocalPart,
];

/** Attributes of a subject. */
export const subjectTextRules: readonly Rule<string>[] = [
  matches(
    '^[^\\p{Z}\\p{Cc}\\p{Cf}]([^\\p{Zl}\\p{Zp}\\p{Cc}\\p{Cf}]*[^\\p{Z}\\p{Cc}\\p{Cf}])?$',
    'has a space at its begin or end, or a line break, control or invisible character: write printable characters only',
  ),
];

export const countryRules: readonly Rule<string>[] = [
  matches('^[A-Z]{2}$', 'not a country code: write the two capital letters of ISO 3166, as in "DE"'),
];

/** PrintableString (X.520 defines the serialNumber attribute so). */
export const printableRules: readonly Rule<string>[] = [
  matches('^[A-Za-z0-9()+,./:=?\\x27 -]+$', "write letters, digits, space and ()+,-./:=?' only"),
];

/** A SPIFFE trust domain (SPIFFE-ID §2.1). */
export const trustDomainRules: readonly Rule<string>[] = [
  matchesNot('[/:]', 'write the trust domain alone, as in "cluster.local", without "spiffe://" and path'),
  matches(
    '^[a-z0-9._/:-]+$',
    'not a trust domain: write lower-case letters, digits, ".", "-" and "_", as in "cluster.local"',
  ),
];

/** The name of a container port, as Kubernetes reads it (at most 15 characters). */
export const portNameRules: readonly Rule<string>[] = [
  matches(
    '^[a-z0-9]+(-[a-z0-9]+)*$',
    'not a name of a port: write lower-case letters, digits and single "-" between them, as in "metrics"',
  ),
  matches('[a-z]|[^0-9]|^$', 'the name of a port has a letter: write a number under port, or ports, instead'),
];

const kubernetesAdvice = 'write lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit';
/** RFC 1123 subdomain, as Kubernetes reads it. */
export const objectNamePattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

/** A name of a Secret, service account or any other object (RFC 1123 subdomain, as Kubernetes reads it). */
export function objectNameRules(of: string): readonly Rule<string>[] {
  return [matches(`^${objectNamePattern}$`, `not a name of a ${of}: ${kubernetesAdvice}`)];
}
