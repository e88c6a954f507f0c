// The names of a certificate. Every function takes a string from outside and gives the canonical one that goes into the certificate, or refuses
// with a reason and advice. Canonical matters: what is checked against rules, stored in a digest and signed must be one and the same string.

import { isIP } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { PkiError, quote } from './errors.ts';
import { parseIpAddress } from './ip.ts';

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A DNS name in lower case; internationalised names in their ASCII form (UTS #46). `*` is allowed as the whole first label before at least two
 * others (OpenSSL matches no wildcard right under a top-level name). Underscores are allowed: RFC 1034 does not know them, but OpenSSL, Go and
 * Node accept and match them, and they are in use.
 * @throws PkiError InvalidDnsName, DnsNameIsIpAddress
 */
export function parseDnsName(text: string): string {
  const refuse = (problem: string, advice?: string) =>
    new PkiError('InvalidDnsName', `DNS name ${quote(text)} ${problem}`, advice);
  if (text === '') throw refuse('is empty');
  if (text.length > 1000) throw refuse('is too long', 'a DNS name has at most 253 characters');
  if (looksLikeIp(text)) throw new PkiError('DnsNameIsIpAddress', `DNS name ${quote(text)} is an IP address`);
  const wildcard = text.startsWith('*.');
  const host = toAscii(wildcard ? text.slice(2) : text, refuse);
  if (host.includes('*'))
    throw refuse("has a '*' that is not the whole first label", "write '*' once, as the first label: *.shop.svc");
  if (host.endsWith('.')) throw refuse('ends in a dot', 'remove the dot');
  const name = wildcard ? `*.${host}` : host;
  if (name.length > 253) throw refuse(`has ${name.length} characters`, 'a DNS name has at most 253 characters');
  const labels = host.split('.');
  for (const label of labels) {
    if (label === '') throw refuse('has an empty label', 'remove the superfluous dot');
    if (label.length > 63)
      throw refuse(`has a label of ${label.length} characters`, 'a label has at most 63 characters');
    if (!LABEL.test(label))
      throw refuse(`has a label ${quote(label)} that is not made of letters, digits and '-' within`);
  }
  if (/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) {
    throw new PkiError('DnsNameIsIpAddress', `DNS name ${quote(text)} ends in a number, as only IP addresses do`);
  }
  if (wildcard && labels.length < 2) {
    throw refuse('has a wildcard right under a top-level name', 'write at least two labels after *., as in *.shop.svc');
  }
  return name;
}

/** Asked for every name of every certificate, so without an exception for the ordinary answer. A zone makes it no address of a certificate. */
function looksLikeIp(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

type Refuse = (problem: string, advice?: string) => PkiError;

function toAscii(host: string, refuse: Refuse): string {
  const ascii = host.toLowerCase();
  // Plain ASCII stays away from domainToASCII, which also decodes percent signs and old IPv4 forms.
  if (/^[a-z0-9._*-]*$/.test(ascii)) {
    const broken = ascii.split('.').find((label) => label.startsWith('xn--') && !isPunycode(label));
    if (broken !== undefined)
      throw refuse(`has an invalid Punycode label ${quote(broken)}`, 'write the name itself, in Unicode');
    return ascii;
  }
  const strange = /[\p{C}\p{Z}]|[!-,/:-@[-^`{-~]/u.exec(host);
  if (strange !== null) throw refuse(`has a character that no DNS name has, ${quote(strange[0])}`);
  const converted = domainToASCII(host);
  if (converted === '') throw refuse('is not a valid internationalised name');
  return converted;
}

/** domainToUnicode leaves a label that it cannot decode as it is. */
function isPunycode(label: string): boolean {
  const decoded = domainToUnicode(label);
  return decoded !== label && domainToASCII(decoded) === label;
}

/**
 * An absolute URI of at most 2048 ASCII characters (RFC 3986), scheme and host in lower case. spiffe:// URIs follow the SPIFFE-ID specification.
 * @throws PkiError InvalidUri, InvalidSpiffeId
 */
export function parseUri(text: string): string {
  const refuse: Refuse = (problem, advice) => new PkiError('InvalidUri', `URI ${quote(text)} ${problem}`, advice);
  if (text.length > 2048) throw refuse(`has ${text.length} characters`, 'a URI here has at most 2048 characters');
  if (!/^[!-~]*$/.test(text))
    throw refuse(
      'has a space, control or non-ASCII character',
      'percent-encode it, or write the host in its xn-- form',
    );
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/.exec(text);
  if (match === null) throw refuse('is not absolute', 'begin it with a scheme, as in https: or urn:');
  const [, scheme = '', authority, path = '', query = '', fragment = ''] = match;
  const lower = scheme.toLowerCase();
  if (lower === 'spiffe') return parseSpiffeId(`spiffe${text.slice(scheme.length)}`);
  if (!/^([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/.test(`${path}${query}${fragment.slice(1)}`)) {
    throw refuse('has a character that must be percent-encoded, or a broken percent-encoding');
  }
  if (authority === undefined) {
    if (path === '') throw refuse('has nothing after its scheme');
    return `${lower}:${path}${query}${fragment}`;
  }
  return `${lower}://${parseAuthority(authority, refuse)}${path}${query}${fragment}`;
}

function parseAuthority(authority: string, refuse: Refuse): string {
  const match = /^([^@]*@)?(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[^:@[\]]*)(:[0-9]{1,5})?$/.exec(authority);
  const [, userinfo = '', host = '', port = ''] = match ?? [];
  if (match === null || host === '') throw refuse('has no proper host');
  if (!/^([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@?$/.test(userinfo))
    throw refuse('has improper user information');
  if (Number(port.slice(1)) > 65_535) throw refuse('has a port past 65535');
  if (host.includes('*')) throw refuse("has a '*' in its host");
  try {
    const canonical = host.startsWith('[')
      ? `[${parseIpAddress(host.slice(1, -1))}]`
      : looksLikeIp(host)
        ? host
        : parseDnsName(host);
    return `${userinfo}${canonical}${port}`;
  } catch (error) {
    if (error instanceof PkiError) throw refuse(`has an improper host (${error.message})`);
    throw error;
  }
}

/** The parts of a SPIFFE ID of a Kubernetes service account. */
export interface ServiceAccountIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccountName: string;
}

/** The SPIFFE ID of a service account: spiffe://<trustDomain>/ns/<namespace>/sa/<name>. @throws PkiError InvalidSpiffeId */
export function spiffeId(identity: ServiceAccountIdentity): string {
  const { trustDomain, namespace, serviceAccountName } = identity;
  return parseSpiffeId(`spiffe://${segment(trustDomain)}/ns/${segment(namespace)}/sa/${segment(serviceAccountName)}`);
}

function segment(text: string): string {
  if (text.includes('/')) throw new PkiError('InvalidSpiffeId', `${quote(text)} is not one part of a SPIFFE ID`);
  return text;
}

function parseSpiffeId(text: string): string {
  const refuse: Refuse = (problem, advice) =>
    new PkiError('InvalidSpiffeId', `SPIFFE ID ${quote(text)} ${problem}`, advice);
  if (text.length > 2048) throw refuse(`has ${text.length} characters`, 'a SPIFFE ID has at most 2048 characters');
  if (!text.startsWith('spiffe://')) throw refuse('does not begin with spiffe://');
  const rest = text.slice('spiffe://'.length);
  if (/[?#]/.test(rest)) throw refuse('has a query or fragment', 'remove what follows the ? or #');
  const slash = rest.indexOf('/');
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash);
  if (trustDomain.includes('@')) throw refuse('has user information', 'remove what precedes the @');
  if (trustDomain.includes(':'))
    throw refuse('has a port', 'remove it: a trust domain is a name, not an address to connect to');
  if (!/^[a-z0-9._-]{1,255}$/.test(trustDomain)) {
    throw refuse(
      'has an improper trust domain',
      "a trust domain has 1 to 255 of lower-case letters, digits, '.', '-' and '_'",
    );
  }
  if (slash < 0) throw refuse('has no path', 'a workload has one, as in spiffe://cluster.local/ns/shop/sa/web');
  for (const part of rest.slice(slash + 1).split('/')) {
    if (part === '') throw refuse('has an empty path segment', 'remove the superfluous slash');
    if (part === '.' || part === '..') throw refuse("has a path segment '.' or '..'", 'write the path that is meant');
    if (!/^[A-Za-z0-9._-]+$/.test(part)) {
      throw refuse(
        `has a path segment ${quote(part)}`,
        "path segments have letters, digits, '.', '-' and '_', without percent-encoding",
      );
    }
  }
  return text;
}

/**
 * An e-mail address for a certificate (RFC 5280 rfc822Name): a dot-atom in ASCII, `@`, and a domain, which becomes lower case and ASCII.
 * @throws PkiError InvalidEmailAddress
 */
export function parseEmailAddress(text: string): string {
  const refuse: Refuse = (problem, advice) =>
    new PkiError('InvalidEmailAddress', `e-mail address ${quote(text)} ${problem}`, advice);
  const at = text.lastIndexOf('@');
  if (at < 0) throw refuse("has no '@'");
  const local = text.slice(0, at);
  if (local.length > 64)
    throw refuse(`has ${local.length} characters before the @`, 'at most 64 characters stand before the @');
  if (!/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/.test(local)) {
    throw refuse('has an improper part before the @');
  }
  try {
    const domain = parseDnsName(text.slice(at + 1));
    if (domain.startsWith('*')) throw refuse('has a wildcard domain');
    if (local.length + 1 + domain.length > 254)
      throw refuse('is too long', 'an e-mail address has at most 254 characters');
    return `${local}@${domain}`;
  } catch (error) {
    if (error instanceof PkiError && error.reason !== 'InvalidEmailAddress')
      throw refuse(`has an improper domain (${error.message})`);
    throw error;
  }
}
