/**
 * The JSON merge patch (RFC 7386) that turns `before` into `after`, or undefined where there is nothing to change. Arrays are replaced
 * whole, as the RFC has it; a key that is undefined in `after` counts as absent.
 */
export function mergePatch(
  before: unknown,
  after: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const old = isPlain(before) ? before : {};
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined) continue;
    const was = old[key];
    if (isPlain(value) && isPlain(was)) {
      const inner = mergePatch(was, value);
      if (inner !== undefined) patch[key] = inner;
    } else if (!same(was, value)) {
      patch[key] = value;
    }
  }
  for (const key of Object.keys(old)) if (after[key] === undefined) patch[key] = null;
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Deep equality of JSON values; the order of keys means nothing, and undefined is absent. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isPlain(a) || !isPlain(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => same(a[key], b[key]));
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
