/** Labels and annotations that users put on the Secret of a WorkloadCertificate. */
import * as z from 'zod';
import { GROUP } from './kinds.ts';
import { keysRule, labelValuesRule, mapOfText } from './labelSyntax.ts';
import { field, type Rule } from './rules.ts';

/**
 * Prefixes whose keys have a meaning to the operator or to Kubernetes, so that a template could corrupt either:
 * kubectl's last-applied-configuration decides what `kubectl apply` removes, kubernetes.io/service-account.name what
 * the token controller deletes. app.kubernetes.io is there for users.
 */
const RESERVED_PATTERN = `^([a-z0-9.-]+[.])?(${GROUP.replace('.', '[.]')}|kubernetes[.]io|k8s[.]io)/`;
const ALLOWED_PATTERN = '^app[.]kubernetes[.]io/';

const reservedExpression = new RegExp(RESERVED_PATTERN);
const allowedExpression = new RegExp(ALLOWED_PATTERN);

const reservedRule: Rule<Record<string, string>> = {
  cel: `self.all(key, !key.matches('${RESERVED_PATTERN}') || key.matches('${ALLOWED_PATTERN}'))`,
  holds: (map) => Object.keys(map).every((key) => !reservedExpression.test(key) || allowedExpression.test(key)),
  message: `keys under ${GROUP}/, kubernetes.io/ and k8s.io/ are reserved: use a prefix of your own, or app.kubernetes.io/`,
};

export const secretTemplateField = field(
  z.object({
    labels: mapOfText(
      { entries: 32, length: 63 },
      'Labels for the Secret, at most 32. Example: {team: shop}.',
      'Value of the label.',
      [keysRule, reservedRule, labelValuesRule],
    ).optional(),
    annotations: mapOfText(
      { entries: 32, length: 4096 },
      'Annotations for the Secret, at most 32, of at most 4096 characters each. Example: {example.com/owner: "shop team"}.',
      'Value of the annotation.',
      [keysRule, reservedRule],
    ).optional(),
  }),
  `Labels and annotations for the Secret, beside those of the operator. They are restored when somebody removes them;
  a change rewrites the Secret without a new certificate. Labels and annotations that others add are left alone.`,
);
