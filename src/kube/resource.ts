import { property, stringAt } from './json.ts';

/** A collection of the API: `group` is '' for the core group, `plural` as in the URL. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

/** Secrets of the core API. */
export const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets' };

/** The URL path of a collection, or of one object or subresource in it. Every part is escaped. */
export function resourcePath(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const base = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const parts = namespace === undefined ? [resource.plural] : ['namespaces', namespace, resource.plural];
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  return `${base}/${parts.map(encodeURIComponent).join('/')}`;
}

/** What every object of the API says of itself. */
export interface Identity {
  readonly key: string;
  readonly namespace?: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** `namespace/name`, or `name` for cluster-scoped objects: the key of queues and stores. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** Splits what `keyOf` made. */
export function splitKey(key: string): { namespace?: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Reads key and resourceVersion of an object of the API; undefined if it lacks a name or a resourceVersion. */
export function identify(object: unknown): Identity | undefined {
  const metadata = property(object, 'metadata');
  const name = stringAt(metadata, 'name');
  const resourceVersion = stringAt(metadata, 'resourceVersion');
  if (!name || !resourceVersion) return undefined;
  const namespace = stringAt(metadata, 'namespace');
  const key = keyOf(namespace, name);
  return namespace ? { key, namespace, name, resourceVersion } : { key, name, resourceVersion };
}

/**
 * Orders two resourceVersions of one collection (KEP-5504: they are decimal integers of any length). Negative if `a` is older. What is no
 * decimal integer compares as unknown: undefined.
 */
export function compareResourceVersions(a: string, b: string): number | undefined {
  if (!isDecimal(a) || !isDecimal(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** No leading zero, so that length decides: '0' itself is not a version of any object. */
function isDecimal(text: string): boolean {
  return /^[1-9][0-9]*$/.test(text);
}
