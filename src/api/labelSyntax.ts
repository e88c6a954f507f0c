/** The syntax of labels and annotations, as Kubernetes checks it on the objects that carry them. */
import * as z from 'zod';
import { objectNamePattern } from './names.ts';
import { type Extensions, field, matches, type Rule, textField } from './rules.ts';

type Entries = Record<string, string>;

const QUALIFIED_NAME = '[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
/** `[prefix/]name` */
const KEY_PATTERN = `^(${objectNamePattern}/)?${QUALIFIED_NAME}$`;
const VALUE_PATTERN = `^(${QUALIFIED_NAME})?$`;
const MAX_PREFIX_LENGTH = 253;
const MAX_KEY_LENGTH = MAX_PREFIX_LENGTH + 1 + 63;

const keyExpression = new RegExp(KEY_PATTERN);
const valueExpression = new RegExp(VALUE_PATTERN);

const notKey =
  'not the key of a label or annotation: write a name of 1 to 63 letters, digits, "-", "_" and ".", beginning and ' +
  'ending with a letter or digit, ' +
  'or a DNS prefix, "/" and such a name, as in "example.com/team"';
const notValue =
  'not the value of a label: write at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit';

export const labelKeyField = textField(MAX_KEY_LENGTH, 'Key of the label.', [
  matches(KEY_PATTERN, notKey),
  {
    cel: `self.indexOf('/') <= ${MAX_PREFIX_LENGTH}`,
    holds: (key) => key.indexOf('/') <= MAX_PREFIX_LENGTH,
    message: `the prefix has more than ${MAX_PREFIX_LENGTH} characters`,
  },
]);

export const labelValueField = textField(63, 'A value of the label.', [matches(VALUE_PATTERN, notValue)]);

/**
 * Keys of a map have no schema of their own: a rule on the map judges them, and the values for the sake of one kind of
 * message.
 */
export const keysRule: Rule<Entries> = {
  cel: `self.all(key, size(key) <= ${MAX_KEY_LENGTH} && key.matches('${KEY_PATTERN}') && key.indexOf('/') <= ${MAX_PREFIX_LENGTH})`,
  holds: (map) =>
    Object.keys(map).every(
      (key) => keyExpression.test(key) && key.length <= MAX_KEY_LENGTH && key.indexOf('/') <= MAX_PREFIX_LENGTH,
    ),
  message: notKey,
};

export const labelValuesRule: Rule<Entries> = {
  cel: `self.all(key, self[key].matches('${VALUE_PATTERN}'))`,
  holds: (map) => Object.values(map).every((value) => valueExpression.test(value)),
  message: notValue,
};

/**
 * A map of text to text, bounded in every direction, since a map without bounds exceeds the cost budget of any rule on
 * it.
 */
export function mapOfText(
  bounds: { readonly entries: number; readonly length: number },
  description: string,
  describeValue: string,
  rules: readonly Rule<Entries>[],
  extensions: Extensions = {},
) {
  const map = z
    .record(z.string(), textField(bounds.length, describeValue))
    .refine((entries) => Object.keys(entries).length <= bounds.entries, {
      error: `must have at most ${bounds.entries} entries`,
    });
  return field(map, description, rules, { maxProperties: bounds.entries, ...extensions });
}
