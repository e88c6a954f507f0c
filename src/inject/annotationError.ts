/** An annotation that is wrong: which, and what to write. */
export class AnnotationError extends Error {
  override readonly name = 'AnnotationError';
}
