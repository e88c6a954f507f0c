/**
 * spec.names of a CertificateAuthority: rules by which a namespace may have names beyond its own. They only add; their
 * order means nothing.
 */
import * as z from 'zod';
import { setField } from './lists.ts';
import {
  dnsNameRules,
  emailPatternRules,
  ipRangeRules,
  objectNameRules,
  singleLabelNameRules,
  subjectTextRules,
  uriPatternRules,
} from './names.ts';
import { namespaceSelectorSchema } from './namespaceSelector.ts';
import { field, type Rule, textField } from './rules.ts';
import { subjectSchema } from './workloadCertificate.ts';

const list = <Item extends z.ZodType>(item: Item, maximum: number, description: string) =>
  field(z.array(item).max(maximum), description, [], { 'x-kubernetes-list-type': 'atomic' }).optional();

const attributes = [
  'organizations',
  'organizationalUnits',
  'countries',
  'localities',
  'provinces',
  'streetAddresses',
  'postalCodes',
] as const;

const listsSomething: Rule<z.output<typeof subjectSchema>> = {
  cel: ['has(self.serialNumber)', ...attributes.map((list) => `(has(self.${list}) && size(self.${list}) > 0)`)].join(
    ' || ',
  ),
  holds: (subject) => subject.serialNumber !== undefined || attributes.some((list) => (subject[list]?.length ?? 0) > 0),
  message: `the subject allows nothing: write the values of at least one of ${attributes.join(', ')}, serialNumber`,
};

const ruleSchema = z.object({
  namespaces: field(
    namespaceSelectorSchema,
    `The namespaces for which the rule is, by their labels: both matchLabels and matchExpressions must hold. {} is
    every namespace. Required, since leaving it out by mistake must not mean everybody. Whoever may label a namespace
    decides with it. Example: {matchLabels: {team: build}}.`,
    [],
    { 'x-mtls-required': 'say for which namespaces the rule is: write {matchLabels: {…}}, or {} for every namespace' },
  ),
  serviceAccounts: setField(
    textField(253, 'Name of a service account.', objectNameRules('ServiceAccount')),
    { min: 1, max: 16 },
    `The rule is only for WorkloadCertificates whose serviceAccountName is one of these. Left out: for every
    WorkloadCertificate of the namespaces, with or without serviceAccountName. Example: [builder].`,
  ).optional(),
  dnsNames: list(
    textField(253, 'A DNS name, or "*." and a DNS name.', dnsNameRules),
    16,
    `DNS names that may be had, compared without regard to case. "*" as the first label stands for exactly one label,
    and for "*" itself: *.example.com allows a.example.com and *.example.com, but neither example.com nor
    a.b.example.com. Names of other namespaces’ Services can be given away so: take care. Never:
    kubernetes.default.svc. Example: ["*.build.example.com"].`,
  ),
  singleLabelNames: list(
    textField(63, 'A name of a single label.', singleLabelNameRules),
    32,
    `DNS names without a dot that may be had, compared without regard to case, e.g. cache or localhost. Peers resolve
    them by search domains: the same name means another host elsewhere.`,
  ),
  ipAddresses: list(
    textField(49, 'A CIDR or an address.', ipRangeRules),
    32,
    `IP addresses that may be had, as CIDRs or single addresses. IPv4 and IPv6 are apart: "0.0.0.0/0" is no IPv6
    address. Example: ["192.0.2.0/24", "2001:db8::1"].`,
  ),
  commonNames: list(
    textField(64, 'A common name.', subjectTextRules),
    32,
    `Common names that may be had, compared exactly, with regard to case and without wildcards. A commonName that is
    among the dnsNames of its certificate needs none. Example: ["replicator"].`,
  ),
  subjects: list(
    field(subjectSchema, 'One subject: the values that each attribute may have.', [listsSomething]),
    4,
    `Subjects that may be had. An entry allows a subject if each of its attributes has only values that this entry
    lists for that attribute, compared exactly; attributes that the entry does not list may not be there. Example:
    [{organizations: ["Example Ltd"], countries: [DE]}].`,
  ),
  uris: list(
    textField(512, 'A URI, or the beginning of one and "*".', uriPatternRules),
    4,
    `URIs that may be had, compared exactly. "*" as the last character, behind a "/" or ":" after the host, stands for
    any rest that is not empty. Never spiffe:// URIs. Example: ["https://shop.example.com/*"].`,
  ),
  emailAddresses: list(
    textField(254, 'An e-mail address, or "*@" and a domain.', emailPatternRules),
    8,
    `E-mail addresses that may be had: the local part compared exactly, the domain without regard to case.
    "*@example.com" allows every mailbox of exactly that domain. Example: ["ops@example.com"].`,
  ),
});

const grants = [
  'dnsNames',
  'singleLabelNames',
  'ipAddresses',
  'commonNames',
  'subjects',
  'uris',
  'emailAddresses',
] as const;

const allowsSomething: Rule<z.output<typeof ruleSchema>> = {
  cel: grants.map((list) => `(has(self.${list}) && size(self.${list}) > 0)`).join(' || '),
  holds: (rule) => grants.some((list) => (rule[list]?.length ?? 0) > 0),
  message: `the rule allows nothing: write at least one of ${grants.join(', ')}`,
};

export const nameRulesField = field(
  z.array(field(ruleSchema, 'One rule: who may have which names.', [allowsSomething])).max(128),
  `What namespaces may ask for beyond their own names, at most 128 rules. Rules only add: a name may be had if any
  rule allows it, and their order means nothing. Free without a rule are the names of a namespace’s own Services and
  pods. A rule that is withdrawn stops the next renewal and leaves the certificates in use in place. Default: none.`,
  [],
  { 'x-kubernetes-list-type': 'atomic' },
);

export type NameRule = z.output<typeof ruleSchema>;
