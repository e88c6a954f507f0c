/** Points in time: RFC 3339, with a time zone. `Date.parse` alone takes much else, and turns 30 February into 2 March. */

/** RE2 and JavaScript alike. Days that a month does not have pass here: see `parseTime`. */
export const TIME_PATTERN =
  '^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?' +
  '(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$';
export const TIME_MAX_LENGTH = 35;

const wholeTime = new RegExp(TIME_PATTERN);
/** The last millisecond of the year 9999. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** @returns ms since 1970; undefined where the text is not a time. */
export function parseTime(text: string): number | undefined {
  if (text.length > TIME_MAX_LENGTH || !wholeTime.test(text)) return undefined;
  const date = text.slice(0, 10);
  if (new Date(`${date}T00:00:00Z`).toISOString().slice(0, 10) !== date) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) || at > LATEST ? undefined : at;
}

/** Seconds only: certificates have no fractions, and `2026-11-22T17:00:00Z` is how Kubernetes writes times. */
export function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
