/** Policies and pods for tests. */
import { type Mode, parseMTLSPolicy } from '../api/index.ts';
import { type Policy, readPolicy } from './policy.ts';

export const MESH = 'mtls-system';

export interface PolicySketch {
  readonly namespace?: string;
  readonly name?: string;
  readonly generation?: number;
  /** Seconds since some day. */
  readonly age?: number;
  readonly app?: string;
  readonly mode?: Mode;
  readonly minimum?: 'Permissive' | 'Strict';
  /** By number or name. */
  readonly ports?: Readonly<Record<string, Mode>>;
  readonly until?: Readonly<Record<string, string>>;
}

/** Through the schema, as from the API server. Without anything said, the policy has a port that nobody has. */
export function policy(sketch: PolicySketch): Policy {
  const { namespace = 'shop', name = 'default', age = 0, generation = 1 } = sketch;
  const { app, mode, minimum, ports = {}, until = {} } = sketch;
  const entries = Object.entries(ports).map(([port, of]) => ({
    ...(/^\d+$/.test(port) ? { port: Number(port) } : { portName: port }),
    mode: of,
    ...(until[port] === undefined ? {} : { until: until[port] }),
  }));
  const silent = mode === undefined && minimum === undefined && entries.length === 0;
  return readPolicy(
    parseMTLSPolicy({
      metadata: {
        namespace,
        name,
        generation,
        creationTimestamp: new Date(Date.UTC(2030, 0, 1) + age * 1000).toISOString(),
      },
      spec: {
        ...(app === undefined ? {} : { selector: { matchLabels: { app } } }),
        ...(mode === undefined ? {} : { mode }),
        ...(minimum === undefined ? {} : { minimum }),
        ports: silent ? [{ port: 65_535, mode: 'Strict' }] : entries,
      },
    }),
  );
}
