/**
 * May this namespace have this name? One CA serves every namespace, so a name is denied unless it is the namespace's own or a rule of
 * the authority allows it. Pure. Every denied name is listed, with the rule that would allow it: the user needs a list to hand to
 * the administrator, not one refusal after the other.
 */
import { domainToUnicode } from 'node:url';
import tlds from 'tlds' with { type: 'json' };
import type { NameRule, NamespaceSelector } from '../api/index.ts';
import { ipToBytes, type Subject } from '../pki/index.ts';

export interface NamesAsked {
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly serviceAccountName: string | undefined;
  /** In canonical form, as `LeafProfile.request` has them. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Without the SPIFFE ID, which the operator gives. */
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly subject: Subject;
}

export interface DeniedName {
  readonly field: string;
  readonly name: string;
  /** An entry of the authority's spec.names that would allow it, or why none can. */
  readonly advice: string;
}

/** @param clusterDomain the DNS domain of the cluster, as in `cluster.local`. */
export function deniedNames(asked: NamesAsked, rules: readonly NameRule[], clusterDomain: string): DeniedName[] {
  const applicable = rules.filter((rule) => ruleApplies(rule, asked));
  const allowedBy = (allows: (rule: NameRule) => boolean) => applicable.some(allows);
  const denied: DeniedName[] = [];
  const check = (field: string, name: string, entry: string, allows: (rule: NameRule) => boolean, why = '') => {
    if (!allowedBy(allows)) denied.push({ field, name, advice: why + advise(asked, entry) });
  };
  for (const name of asked.dnsNames) {
    if (isApiServerName(name)) {
      denied.push({ field: 'dnsNames', name, advice: NEVER });
    } else if (!isFreeDnsName(name, asked.namespace, clusterDomain)) {
      const list = name.includes('.') ? 'dnsNames' : 'singleLabelNames';
      const entry = `${list}: [${JSON.stringify(name)}]`;
      check('dnsNames', name, entry, (rule) => allowsDnsName(rule, name), whyNotFree(name, asked.namespace));
    }
  }
  for (const address of asked.ipAddresses) {
    check('ipAddresses', address, `ipAddresses: [${JSON.stringify(address)}]`, (rule) =>
      allowsIpAddress(rule, address),
    );
  }
  for (const uri of asked.uris) {
    if (uri.length > LONGEST_URI_IN_RULE && !allowedBy((rule) => allowsUri(rule, uri)))
      denied.push({
        field: 'uris',
        name: uri,
        advice: `a rule has room for ${LONGEST_URI_IN_RULE} characters: shorten it`,
      });
    else check('uris', uri, `uris: [${JSON.stringify(uri)}]`, (rule) => allowsUri(rule, uri));
  }
  for (const address of asked.emailAddresses) {
    check('emailAddresses', address, `emailAddresses: [${JSON.stringify(address)}]`, (rule) =>
      allowsEmailAddress(rule, address),
    );
  }
  const { commonName, ...attributes } = asked.subject;
  // PostgreSQL and others map the common name to a role: it is only free where it repeats a DNS name that passed above.
  if (commonName !== undefined && isApiServerName(lowerCase(commonName))) {
    denied.push({ field: 'commonName', name: commonName, advice: NEVER });
  } else if (commonName !== undefined && !asked.dnsNames.includes(lowerCase(commonName))) {
    check(
      'commonName',
      commonName,
      `commonNames: [${JSON.stringify(commonName)}]`,
      (rule) => rule.commonNames?.includes(commonName) ?? false,
    );
  }
  const given = Object.entries(attributes).filter(([, values]) => values !== undefined && values.length > 0);
  if (given.length > 0) {
    const entry = `subjects: [${JSON.stringify(Object.fromEntries(given))}]`;
    const name = given.map(([attribute, values]) => `${attribute}=${[values].flat().join(',')}`).join(' ');
    check('subject', name, entry, (rule) => allowsSubject(rule, given));
  }
  return denied;
}

/** The text for a condition: each name with the rule that would allow it. */
export function describeDenied(denied: readonly DeniedName[], authority: string): string {
  const list = denied.map(({ field, name, advice }) => `${field} ${JSON.stringify(name)} (${advice})`).join('; ');
  return `the CertificateAuthority "${authority}" does not allow this namespace: ${list}`;
}

function advise({ namespace, serviceAccountName }: NamesAsked, entry: string): string {
  // Quoted, since YAML takes a namespace called 123 or true for something else than text.
  const account = serviceAccountName === undefined ? '' : `, serviceAccounts: [${JSON.stringify(serviceAccountName)}]`;
  return `spec.names would need: {namespaces: {matchLabels: {kubernetes.io/metadata.name: ${JSON.stringify(namespace)}}}${account}, ${entry}}`;
}

/** Names under which special-use registries or custom know more than one cluster (RFC 6761, RFC 6762, ICANN's collision list). */
const specialDomains = [
  'local',
  'localhost',
  'internal',
  'invalid',
  'test',
  'example',
  'onion',
  'home',
  'corp',
  'mail',
  'lan',
  'intranet',
  'private',
  'arpa',
  'svc',
];
const topLevelDomains: ReadonlySet<string> = new Set([...tlds, ...specialDomains]);

/**
 * Free are the names by which the namespace's own Services and pods are reached: `<x>.<ns>.svc[.<clusterDomain>]`,
 * `<pod>.<x>.<ns>.svc[…]`, `*` as the first label of these, and `<x>.<ns>` unless `<ns>` is a top-level domain: a namespace called
 * `com` must not own `example.com`.
 */
export function isFreeDnsName(name: string, namespace: string, clusterDomain: string): boolean {
  const labels = stripClusterDomain(name, clusterDomain).split('.');
  const isShort = labels.length === 2 && labels[1] === namespace && name === labels.join('.');
  if (isShort) return labels[0] !== '*' && !isTopLevelDomain(namespace) && namespace !== lastLabel(clusterDomain);
  if (labels.at(-1) !== 'svc' || labels.at(-2) !== namespace) return false;
  return labels.length === 3 || labels.length === 4;
}

/** Where a name is the namespace's own at first sight: why it is not. */
function whyNotFree(name: string, namespace: string): string {
  const labels = name.split('.');
  if (labels.length !== 2 || labels[1] !== namespace || labels[0] === '*') return '';
  return `${JSON.stringify(namespace)} is a top-level domain as well, where this may be the name of somebody else; ${name}.svc is free; `;
}

function isTopLevelDomain(label: string): boolean {
  // The list has internationalised domains in Unicode; a namespace may be called xn--….
  return topLevelDomains.has(label) || topLevelDomains.has(domainToUnicode(label));
}

/** `a.b.svc.cluster.local` → `a.b.svc`; a name that does not end in `.svc.<clusterDomain>` stays as it is. */
function stripClusterDomain(name: string, clusterDomain: string): string {
  return name.endsWith(`.svc.${clusterDomain}`) ? name.slice(0, -clusterDomain.length - 1) : name;
}

function lastLabel(domain: string): string {
  return domain.slice(domain.lastIndexOf('.') + 1);
}

const NEVER = 'no rule can allow it: it is a name of the Kubernetes API server';
/** As the schema of spec.names has it. */
const LONGEST_URI_IN_RULE = 512;

/**
 * Whether a certificate with this name would pass as the API server: by itself, or as a wildcard over it. In any domain, since a cluster may have
 * another one than it is said to have; and by its first label alone, by which pods of the namespace `default` reach it.
 */
function isApiServerName(name: string): boolean {
  return name === 'kubernetes' || /^(kubernetes|\*)\.default(\.svc(\..*)?)?$/.test(name);
}

/** ASCII alone: in Unicode, other letters than K become k. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function ruleApplies(rule: NameRule, { namespaceLabels, serviceAccountName }: NamesAsked): boolean {
  if (rule.serviceAccounts !== undefined) {
    if (serviceAccountName === undefined || !rule.serviceAccounts.includes(serviceAccountName)) return false;
  }
  return selectorMatches(rule.namespaces, namespaceLabels);
}

/** Kubernetes' LabelSelector: all of matchLabels and all of matchExpressions; empty selects everything. */
export function selectorMatches(selector: NamespaceSelector, labels: Readonly<Record<string, string>>): boolean {
  const value = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  for (const [key, wanted] of Object.entries(selector.matchLabels ?? {})) if (value(key) !== wanted) return false;
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const found = value(key);
    const listed = found !== undefined && (values ?? []).includes(found);
    if (operator === 'In' && !listed) return false;
    if (operator === 'NotIn' && listed) return false;
    if (operator === 'Exists' && found === undefined) return false;
    if (operator === 'DoesNotExist' && found !== undefined) return false;
  }
  return true;
}

function allowsDnsName(rule: NameRule, name: string): boolean {
  if (!name.includes('.')) return (rule.singleLabelNames ?? []).some((allowed) => allowed.toLowerCase() === name);
  return (rule.dnsNames ?? []).some((allowed) => {
    const pattern = toAscii(allowed);
    // `*` stands for exactly one label, as in certificates (RFC 6125 §6.4.3), the label `*` itself included.
    return pattern === name || (pattern.startsWith('*.') && name.slice(name.indexOf('.')) === pattern.slice(1));
  });
}

/** Rules may be written in Unicode; names asked for are A-labels by now. */
function toAscii(pattern: string): string {
  const lower = pattern.toLowerCase();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: "not ASCII" is what is meant
  if (/^[\x00-\x7f]*$/.test(lower)) return lower;
  const wildcard = lower.startsWith('*.') ? '*.' : '';
  const hostname = URL.parse(`http://${lower.slice(wildcard.length)}`)?.hostname;
  return hostname === undefined ? lower : wildcard + hostname;
}

function allowsIpAddress(rule: NameRule, address: string): boolean {
  const bytes = ipToBytes(address);
  return (rule.ipAddresses ?? []).some((range) => {
    const [network = '', prefix] = range.split('/');
    const base = ipToBytes(network);
    if (base.length !== bytes.length) return false;
    const bits = prefix === undefined ? base.length * 8 : Number(prefix);
    return bytes.every((byte, i) => {
      const mask = (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 0xff;
      return (byte & mask) === ((base[i] ?? 0) & mask);
    });
  });
}

function allowsUri(rule: NameRule, uri: string): boolean {
  return (rule.uris ?? []).some((allowed) => {
    if (!allowed.endsWith('*')) return allowed === uri;
    const beginning = allowed.slice(0, -1);
    return uri.startsWith(beginning) && uri.length > beginning.length;
  });
}

function allowsEmailAddress(rule: NameRule, address: string): boolean {
  const [local, domain] = splitAddress(address);
  return (rule.emailAddresses ?? []).some((allowed) => {
    const [allowedLocal, allowedDomain] = splitAddress(allowed);
    return allowedDomain === domain && (allowedLocal === '*' || allowedLocal === local);
  });
}

function splitAddress(address: string): [string, string] {
  const at = address.lastIndexOf('@');
  return [address.slice(0, at), address.slice(at + 1).toLowerCase()];
}

function allowsSubject(rule: NameRule, given: readonly [string, string | readonly string[] | undefined][]): boolean {
  return (rule.subjects ?? []).some((allowed) => {
    const lists = new Map<string, string | readonly string[] | undefined>(Object.entries(allowed));
    return given.every(([attribute, values]) => {
      const listed = [lists.get(attribute) ?? []].flat();
      return [values ?? []].flat().every((value) => listed.includes(value));
    });
  });
}
