/** Readers for objects of the API server on hot paths, where a schema would cost more than the work itself. */

/** @throws Error where the value is not an object. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new Error(`expected an object, found ${value === null ? 'null' : typeof value}`);
  return value;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws Error where the value is not a non-empty string. */
export function asString(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Error('expected a non-empty string');
  return value;
}

/** A map of strings; absent is empty, entries of another type are left out. */
export function stringMap(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  // Built from entries: assigning would lose a key called "__proto__", which data of a Secret may have.
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
