/** Which namespaces: Kubernetes' LabelSelector, but for empty parts, which select everything there and are refused here. */
import * as z from 'zod';
import { keysRule, labelKeyField, labelValueField, labelValuesRule, mapOfText } from './labelSyntax.ts';
import { setField } from './lists.ts';
import { field, type Rule } from './rules.ts';

const selectorOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

const requirementSchema = z.object({
  key: labelKeyField,
  operator: field(
    z.enum(selectorOperators),
    `In: the label is there and its value is one of values. NotIn: it is not (also if the label is missing). Exists
    and DoesNotExist: whether the label is there.`,
  ),
  values: setField(
    labelValueField,
    { max: 16 },
    'Values for In and NotIn, at most 16; left out for Exists and DoesNotExist.',
  ).optional(),
});

const requirementRule: Rule<z.output<typeof requirementSchema>> = {
  cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
  holds: ({ operator, values }) =>
    (operator === 'In' || operator === 'NotIn') === (values !== undefined && values.length > 0),
  message:
    'In and NotIn need values, Exists and DoesNotExist have none: write e.g. {key: team, operator: In, values: ' +
    '[build]} or {key: team, operator: Exists}',
};

export const namespaceSelectorSchema = z.object({
  matchLabels: mapOfText(
    { entries: 8, length: 63 },
    'Labels that the namespace must have, each with this value, at most 8. Example: {team: build}.',
    'Value that the label must have.',
    [
      {
        cel: 'size(self) > 0',
        holds: (labels) => Object.keys(labels).length > 0,
        message:
          'an empty matchLabels would select every namespace: name a label, or write "namespaces: {}" if you mean ' +
          'every namespace',
      },
      keysRule,
      labelValuesRule,
    ],
  ).optional(),
  matchExpressions: field(
    z.array(field(requirementSchema, 'One requirement.', [requirementRule])).max(8),
    `Requirements on labels that the namespace must meet, all of them. Example: [{key: team, operator: In, values:
    [build, test]}].`,
    [
      {
        cel: 'size(self) > 0',
        holds: (requirements) => requirements.length > 0,
        message:
          'an empty matchExpressions would select every namespace: write a requirement, or "namespaces: {}" if you ' +
          'mean every namespace',
      },
    ],
    { 'x-kubernetes-list-type': 'atomic' },
  ).optional(),
});

export type NamespaceSelector = z.output<typeof namespaceSelectorSchema>;
