/**
 * A rule of validation is written once for both places that apply it: as CEL for the API server, which refuses at
 * `kubectl apply`, and as a function for the operator, which meets objects that were stored under an older CRD. One
 * table of tests holds the two together.
 */
import * as z from 'zod';

export interface Rule<Value> {
  /** CEL over `self`; every list and text that it touches must be bounded, or the CRD exceeds its cost budget. */
  readonly cel: string;
  /** The same in TypeScript. */
  holds(value: Value): boolean;
  /** What is wrong and what to write instead. */
  readonly message: string;
  /** A message that depends on the value, as CEL and as a function; `message` stands in if the CEL fails. */
  readonly detailed?: { readonly cel: string; text(value: Value): string } | undefined;
  /** The property of `self` that the error names. */
  readonly property?: string | undefined;
}

/** What JSON Schema cannot say by itself: it travels through `z.toJSONSchema` into the CRD. */
export interface Extensions {
  readonly [key: `x-${string}`]: unknown;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxProperties?: number;
  readonly example?: unknown;
}

/**
 * The schema with its documentation (for `kubectl explain` and the reference) and its rules. Call it last: any further
 * method of zod returns a copy without them.
 */
export function field<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
  rules: readonly Rule<z.output<Schema>>[] = [],
  extensions: Extensions = {},
): Schema {
  let checked: Schema = schema;
  for (const rule of rules) {
    checked = checked.check((payload) => {
      if (rule.holds(payload.value)) return;
      const message = rule.detailed?.text(payload.value) ?? rule.message;
      const path = rule.property === undefined ? [] : [rule.property];
      payload.issues.push({ code: 'custom', message, input: payload.value, path, continue: true });
    });
  }
  return checked.meta({
    description: paragraphs(description),
    ...extensions,
    ...(rules.length > 0 ? { 'x-kubernetes-validations': rules.map(celRule) } : {}),
  });
}

/**
 * Text of up to `maximum` characters. Where it may not be empty its rules say so, with what to write: `minLength` could
 * not.
 */
export function textField(
  maximum: number,
  description: string,
  rules: readonly Rule<string>[] = [],
  extensions: Extensions = {},
): z.ZodString {
  // Counted as code points, like the API server does; `max` of zod counts UTF-16 units. Past it nothing else is looked at:
  // patterns are meant for texts of bounded length.
  const bounded = z
    .string()
    .refine(
      (value) => value.length <= maximum || (value.length <= 2 * maximum && Array.from(value).length <= maximum),
      {
        error: `must have at most ${maximum} characters`,
        abort: true,
      },
    );
  return field(bounded, description, rules, { maxLength: maximum, ...extensions });
}

function celRule<Value>(rule: Rule<Value>): Record<string, unknown> {
  return {
    rule: rule.cel,
    message: rule.message,
    ...(rule.detailed === undefined ? {} : { messageExpression: rule.detailed.cel }),
    ...(rule.property === undefined ? {} : { fieldPath: `.${rule.property}` }),
  };
}

/** Text that satisfies a pattern in the syntax that RE2 and JavaScript share (no look-around, no back references). */
export function matches(pattern: string, message: string): Rule<string> {
  const expression = new RegExp(pattern, 'u');
  return { cel: `self.matches(${celText(pattern)})`, holds: (value) => expression.test(value), message };
}

export function matchesNot(pattern: string, message: string): Rule<string> {
  const expression = new RegExp(pattern, 'u');
  return { cel: `!self.matches(${celText(pattern)})`, holds: (value) => !expression.test(value), message };
}

/** A CEL literal of a text. Raw, since patterns are full of backslashes. */
export function celText(text: string): string {
  if (text.includes("'")) throw new Error(`write ' as \\x27 in a pattern: ${text}`);
  return text.includes('\\') ? `r'${text}'` : `'${text}'`;
}

/** Descriptions may span several lines of source; an empty line separates paragraphs. */
function paragraphs(description: string): string {
  return description
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' '))
    .join('\n\n');
}
