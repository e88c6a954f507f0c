/** The modes of a port, from the least strict to the strictest. None of their names is a boolean in YAML, as Off would be. */
import * as z from 'zod';
import { type Extensions, field } from './rules.ts';

export const modes = ['Disabled', 'Permissive', 'Strict'] as const;
export type Mode = (typeof modes)[number];

/** What every port has that no policy is about: nobody is cut off, and whoever can speaks mutual TLS. */
export const DEFAULT_MODE: Mode = 'Permissive';

export function isBelow(mode: Mode, other: Mode): boolean {
  return modes.indexOf(mode) < modes.indexOf(other);
}

/** The less strict of two. */
export function lower(one: Mode, other: Mode): Mode {
  return isBelow(one, other) ? one : other;
}

/** The stricter of two. */
export function higher(one: Mode, other: Mode): Mode {
  return isBelow(one, other) ? other : one;
}

const meaning = `Strict takes mutual TLS only. Permissive takes mutual TLS and plaintext alike. Disabled is plaintext: nobody speaks mutual TLS to it.`;

export function modeField(description: string, extensions: Extensions = {}) {
  return field(z.enum(modes), `${description} ${meaning}`, [], extensions);
}
