/**
 * Durations as users write them: whole numbers with d, h, m, s, the larger unit first, each at most once: `1d12h`,
 * `90m`, `8760h`. Go's own notation has neither days nor a fixed order, ISO 8601 and `format: duration` admit `P1D` and
 * `-5m`; hence a notation of our own.
 */

/**
 * RE2 and JavaScript alike. The lengths keep the sum inside a 53-bit integer. It matches the empty text too: see
 * `isDuration`.
 */
export const DURATION_PATTERN = '^([0-9]{1,6}d)?([0-9]{1,8}h)?([0-9]{1,9}m)?([0-9]{1,10}s)?$';
export const DURATION_MAX_LENGTH = 40;

const wholeDuration = new RegExp(DURATION_PATTERN);
const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

export function isDuration(text: string): boolean {
  return text !== '' && text.length <= DURATION_MAX_LENGTH && wholeDuration.test(text);
}

/**
 * @returns whole seconds, `parseDuration('1d12h') === 129600`.
 * @throws RangeError with what to write instead.
 */
export function parseDuration(text: string): number {
  const terms = text === '' || text.length > DURATION_MAX_LENGTH ? null : wholeDuration.exec(text);
  if (terms === null) {
    const shown = JSON.stringify(text.slice(0, DURATION_MAX_LENGTH));
    throw new RangeError(
      `${shown} is not a duration: write whole numbers with d, h, m, s in this order, as in 24h or 1d12h`,
    );
  }
  // Each term is matched with its unit, or undefined.
  return units.reduce((sum, [, seconds], index) => sum + Number.parseInt(terms[index + 1] ?? '0', 10) * seconds, 0);
}

/**
 * The shortest notation of whole seconds: `formatDuration(129600) === '1d12h'`.
 * @throws RangeError if `seconds` is not a whole number from 0 on.
 */
export function formatDuration(seconds: number): string {
  if (!Number.isSafeInteger(seconds) || seconds < 0)
    throw new RangeError(`${seconds} is not a whole number of seconds`);
  if (seconds === 0) return '0s';
  let rest = seconds;
  let text = '';
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** CEL for the seconds in a duration: `of` is a CEL expression for a text that matches the pattern. */
export function durationSecondsCel(of: string): string {
  return (
    `${of}.findAll('[0-9]+[dhms]').map(t, int(t.substring(0, size(t) - 1)) * ` +
    `(t.endsWith('d') ? 86400 : t.endsWith('h') ? 3600 : t.endsWith('m') ? 60 : 1)).sum()`
  );
}
