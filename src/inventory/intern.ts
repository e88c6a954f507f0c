/** One copy of texts that thousands of records have in common: each record is parsed apart, and would hold its own. */

/** Above this many they are forgotten, so that names that come and go do not gather for ever. */
const MOST = 50_000;

const known = new Map<string, string>();

export function intern(text: string): string {
  const found = known.get(text);
  if (found !== undefined) return found;
  if (known.size >= MOST) known.clear();
  known.set(text, text);
  return text;
}
