/** The YAML reader, loaded only by who needs it. Why it is a module of its own: see proxyDispatchers.ts. */
export { parseDocument } from 'yaml';
