/** Guards for JSON that came from outside: everything is `unknown` until it was looked at. */
export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The property if `value` is an object with that own property, else undefined. `__proto__` and inherited names are never followed. */
export function property(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function stringAt(value: unknown, name: string): string | undefined {
  const found = property(value, name);
  return typeof found === 'string' ? found : undefined;
}

export function numberAt(value: unknown, name: string): number | undefined {
  const found = property(value, name);
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}

/**
 * A copy of `text` that shares no memory with any other string. V8 represents `long.slice(a, b)` as a view that keeps the whole of `long`
 * alive: 50,000 kept serial numbers would keep 50,000 certificates. For decoders, on every piece cut out of a larger string.
 */
export function ownString(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
