// Name constraints of CAs (RFC 5280 §4.2.1.10). Verifiers read the RFC differently; what passes here passes with all of them: a permitted
// subtree is read as its narrowest reader does, an excluded one as its widest.

import { isIPv4 } from 'node:net';
import type { NameConstraints, NameSubtrees } from './decodeExtensions.ts';
import { type Element, readDer } from './der.ts';
import { quote } from './errors.ts';
import { canonicalIpToBytes } from './ip.ts';
import { oid } from './oids.ts';
import type { ParsedCertificate } from './parse.ts';
import { decodeName, encodeSubject, isEmptyName, type NameAttribute, nameText, type Subject } from './subject.ts';

/** Names to check: a LeafRequest or a ParsedCertificate fits. */
export interface ConstrainedNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly subject?: Subject | string;
  readonly subjectDer?: Buffer;
  readonly commonName?: string | undefined;
}

export interface NameViolation {
  /** The name as it was asked for. */
  readonly name: string;
  /** The subject of the CA that does not allow it. */
  readonly ca: string;
  readonly message: string;
}

/** Every name that one of the CAs does not allow, once for each such CA; none if all is well. Names are expected in canonical form. */
export function checkNameConstraints(names: ConstrainedNames, cas: readonly ParsedCertificate[]): NameViolation[] {
  return cas.flatMap((ca) => {
    const { nameConstraints } = ca;
    if (nameConstraints === undefined) return [];
    return checksFor(names).flatMap((check) => {
      const problem = check.problem(nameConstraints);
      if (problem === undefined) return [];
      return [{ name: check.name, ca: ca.subject, message: `${quote(check.name)} ${problem} of the CA ${ca.subject}` }];
    });
  });
}

interface Check {
  readonly name: string;
  problem(constraints: NameConstraints): string | undefined;
}

function checksFor(names: ConstrainedNames): Check[] {
  const { dnsNames, ipAddresses, uris, emailAddresses } = names;
  return [
    ...[...dnsNames, ...commonNameAsDns(names)].map((name) => check(name, dnsRules)),
    ...ipAddresses.map((name) => check(name, ipRules)),
    ...uris.map((name) => check(name, uriRules)),
    ...emailAddresses.map((name) => check(name, emailRules)),
    ...subjectChecks(names),
  ];
}

/** OpenSSL takes the common name for a DNS name where there is none in the subjectAltName. */
function commonNameAsDns({ dnsNames, commonName, subject }: ConstrainedNames): string[] {
  const name = commonName ?? (typeof subject === 'object' ? subject.commonName : undefined);
  if (dnsNames.length > 0 || name === undefined || !/^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(name)) return [];
  return [name.toLowerCase()];
}

function subjectChecks({ subjectDer, subject }: ConstrainedNames): Check[] {
  const der = subjectDer ?? (typeof subject === 'object' ? encodeSubject(subject) : undefined);
  if (der === undefined || isEmptyName(der)) return [];
  const rdns = decodeName(readDer(der));
  const inside = () => (base: Element) => startsWith(rdns, decodeName(base));
  const emailAddresses = rdns.flat().filter((attribute) => attribute.type === oid.emailAddress);
  return [
    check(nameText(rdns), { bases: (subtrees) => subtrees.directoryNames, permits: inside, excludes: inside }),
    ...emailAddresses.map(({ value }) => check(value, emailRules)),
  ];
}

/** How names of one kind are compared with the subtrees of that kind. */
interface Rules<Base> {
  readonly bases: (subtrees: NameSubtrees) => readonly Base[];
  readonly permits: (name: string) => (base: Base) => boolean;
  readonly excludes: (name: string) => (base: Base) => boolean;
  /** Why a name cannot stand under any name constraints; undefined if it can. */
  readonly impossible?: (name: string) => string | undefined;
}

function check<Base>(name: string, rules: Rules<Base>): Check {
  return {
    name,
    problem({ permitted, excluded }) {
      const impossible = rules.impossible?.(name);
      if (impossible !== undefined) return impossible;
      if (rules.bases(excluded).some(rules.excludes(name))) return 'is excluded by the name constraints';
      const bases = rules.bases(permitted);
      if (bases.length > 0 && !bases.some(rules.permits(name))) return 'is not permitted by the name constraints';
      return undefined;
    },
  };
}

// ---------------------------------------------------------------- DNS

/** 'example.com' is the host and everything below, '.example.com' only what is below, '' everything. */
function withinDomain(host: string, base: string): boolean {
  const domain = base.toLowerCase();
  return domain === '' || host === domain || host.endsWith(domain.startsWith('.') ? domain : `.${domain}`);
}

const dnsRules: Rules<string> = {
  bases: (subtrees) => subtrees.dnsNames,
  permits: (name) => (base) => withinDomain(name, base),
  // A wildcard stands for any label: '*.example.com' would also serve an excluded 'internal.example.com'.
  excludes: (name) => (base) => withinDomain(name, base) || (name.startsWith('*.') && name.slice(1) === parentOf(base)),
};

const parentOf = (domain: string): string => domain.toLowerCase().replace(/^[^.]*/, '');

// ---------------------------------------------------------------- IP

function withinRange(address: Buffer, range: Buffer): boolean {
  const size = range.length / 2;
  return (
    address.length === size && address.every((octet, i) => ((octet ^ (range[i] ?? 0)) & (range[size + i] ?? 0)) === 0)
  );
}

const ipRules: Rules<Buffer> = {
  bases: (subtrees) => subtrees.ipRanges,
  permits: (name) => {
    const address = canonicalIpToBytes(name);
    return (range) => withinRange(address, range);
  },
  excludes: (name) => ipRules.permits(name),
};

// ---------------------------------------------------------------- URI

/** The host of a URI as the RFC says; '' if it has none or is an address, which no constraint can speak about. */
function hostOf(uri: string): string {
  const [, host = ''] = /^[^:]*:\/\/(?:[^/?#@]*@)?([^/?#:[\]]*)/.exec(uri) ?? [];
  return isIPv4(host) ? '' : host;
}

/** And as OpenSSL reads it: up to the next ':' anywhere, else up to the next '/', user information and query included. */
function hostsOf(uri: string): string[] {
  const rest = uri.slice(uri.indexOf('://') + 3);
  const end = rest.includes(':') ? rest.indexOf(':') : rest.indexOf('/');
  return [hostOf(uri), end < 0 ? rest : rest.slice(0, end)];
}

const uriRules: Rules<string> = {
  bases: (subtrees) => subtrees.uris,
  // The RFC and OpenSSL: 'example.com' is that host alone. Go: also what is below.
  permits: (name) => (base) =>
    hostsOf(name).every((host) => (base.startsWith('.') ? withinDomain(host, base) : host === base.toLowerCase())),
  excludes: (name) => (base) => hostsOf(name).some((host) => withinDomain(host, base)),
  // Go refuses such a URI under constraints of any kind, even if they say nothing of URIs.
  impossible: (name) =>
    hostOf(name) === '' ? 'has no host name, which verifiers demand under name constraints such as those' : undefined,
};

// ---------------------------------------------------------------- e-mail

const emailRules: Rules<string> = {
  bases: (subtrees) => subtrees.emailAddresses,
  // The RFC and OpenSSL: 'example.com' is the mailboxes of that host alone. Go: also of what is below.
  permits: (name) => (base) => {
    const [local, domain] = splitEmail(name);
    const [baseLocal, baseDomain] = splitEmail(base);
    if (base.includes('@')) return baseLocal === local && baseDomain === domain;
    return base.startsWith('.') ? withinDomain(domain, base) : domain === baseDomain;
  },
  excludes: (name) => (base) =>
    base.includes('@') ? base.toLowerCase() === name.toLowerCase() : withinDomain(splitEmail(name)[1], base),
};

function splitEmail(address: string): [local: string, domain: string] {
  const at = address.lastIndexOf('@');
  return [address.slice(0, at), address.slice(at + 1).toLowerCase()];
}

// ---------------------------------------------------------------- directory names

const startsWith = (name: readonly NameAttribute[][], base: readonly NameAttribute[][]): boolean =>
  base.length <= name.length && base.every((rdn, i) => rdnText(rdn) === rdnText(name[i] ?? []));

/** Compared as RFC 5280 §7.1 says: without regard to case, string type and repeated spaces. */
const rdnText = (rdn: readonly NameAttribute[]): string =>
  rdn
    .map(({ type, value }) => `${type}=${value.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim()}`)
    .sort()
    .join('\n');
