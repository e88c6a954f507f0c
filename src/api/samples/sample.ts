/**
 * Tables of objects that the schemas of this folder must take or refuse, read by the unit tests and by the tests
 * against an API server.
 */

export interface GoodSample {
  /** Completes "takes …". */
  readonly title: string;
  readonly spec: object;
}

export interface BadSample {
  /** Completes "refuses …". */
  readonly title: string;
  readonly spec: object;
  /** Path of the field that the error must name. */
  readonly field: string;
  /** A fragment of what the API server must say. */
  readonly message: string;
  /** A fragment of what the parser says, where it is not the same: for what OpenAPI judges by itself. */
  readonly parser?: string;
}

// What OpenAPI judges by itself, in the words of the API server and of the parser.
export const tooLong = { message: 'Too long', parser: 'must have at most' };
export const tooMany = { message: 'Too many', parser: 'Too big' };
export const duplicate = { message: 'Duplicate value', parser: 'Duplicate value: write each only once' };
export const unsupported = { message: 'Unsupported value', parser: 'Invalid ' };
export const required = { message: 'Required value', parser: 'received undefined' };

export const repeat = (count: number, of = 'a'): string => of.repeat(count);
export const many = (count: number, of: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => of(index));
