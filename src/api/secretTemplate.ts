/** Labels and annotations that users put on the Secret of a WorkloadCertificate. */
import { z } from 'zod';
import { GROUP } from './kinds.ts';
import { LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN } from './names.ts';
import { field, type Rule } from './rules.ts';

const MAX_ENTRIES = 32;
const MAX_KEY_LENGTH = 253 + 1 + 63;

/**
 * Prefixes whose keys have a meaning to the operator or to Kubernetes, so that a template could corrupt either: kubectl's last-applied-configuration
 * decides what `kubectl apply` removes, kubernetes.io/service-account.name what the token controller deletes. app.kubernetes.io is there for users.
 */
const RESERVED_PATTERN = `^([a-z0-9.-]+[.])?(${GROUP.replace('.', '[.]')}|kubernetes[.]io|k8s[.]io)/`;
const ALLOWED_PATTERN = '^app[.]kubernetes[.]io/';

const everyKey = (expression: string): string => `self.all(key, ${expression})`;
const keys = (map: Readonly<Record<string, string>>): string[] => Object.keys(map);

const reservedRule: Rule<Record<string, string>> = {
  cel: everyKey(`!key.matches('${RESERVED_PATTERN}') || key.matches('${ALLOWED_PATTERN}')`),
  holds: (map) =>
    keys(map).every((key) => !new RegExp(RESERVED_PATTERN).test(key) || new RegExp(ALLOWED_PATTERN).test(key)),
  message: `keys under ${GROUP}/, kubernetes.io/ and k8s.io/ are reserved: use a prefix of your own, or app.kubernetes.io/`,
};

const keySyntaxRule: Rule<Record<string, string>> = {
  cel: everyKey(`size(key) <= ${MAX_KEY_LENGTH} && key.matches('${LABEL_KEY_PATTERN}') && key.indexOf('/') <= 253`),
  holds: (map) =>
    keys(map).every(
      (key) => key.length <= MAX_KEY_LENGTH && new RegExp(LABEL_KEY_PATTERN).test(key) && key.indexOf('/') <= 253,
    ),
  message:
    'a key is a name, or a DNS prefix, "/" and a name; the name has 1 to 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or ' +
    'digit: write e.g. "example.com/team"',
};

const labelValueRule: Rule<Record<string, string>> = {
  cel: everyKey(`size(self[key]) <= 63 && self[key].matches('${LABEL_VALUE_PATTERN}')`),
  holds: (map) =>
    Object.values(map).every((value) => value.length <= 63 && new RegExp(LABEL_VALUE_PATTERN).test(value)),
  message:
    'a value of a label has at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit: ' +
    'put anything else into annotations',
};

const entries = (maximum: number, description: string) =>
  z
    .record(z.string(), field(z.string(), description, [], { maxLength: maximum }))
    .refine((map) => keys(map).length <= MAX_ENTRIES, { error: `must have at most ${MAX_ENTRIES} entries` });

export const secretTemplateField = field(
  z.object({
    labels: field(
      entries(63, 'Value of the label.'),
      'Labels for the Secret, at most 32. Example: {team: shop}.',
      [keySyntaxRule, reservedRule, labelValueRule],
      { maxProperties: MAX_ENTRIES },
    ).optional(),
    annotations: field(
      entries(4096, 'Value of the annotation.'),
      'Annotations for the Secret, at most 32, of at most 4096 characters each. Example: {example.com/owner: "shop team"}.',
      [keySyntaxRule, reservedRule],
      { maxProperties: MAX_ENTRIES },
    ).optional(),
  }),
  `Labels and annotations for the Secret, beside those of the operator. They are restored when somebody removes them; a change rewrites the Secret without a
  new certificate. Labels and annotations that others add are left alone.`,
);
