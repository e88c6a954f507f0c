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
  /**
   * A fragment of what the parser says, where it is not the same: for what OpenAPI judges by itself. `null`: only the
   * API server can know.
   */
  readonly parser?: string | null;
}
