/** One cause of a refusal, as the API server names it: the field, why, and what it says about it. */
export interface StatusCause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

export interface ApiErrorInit {
  status: number;
  reason: string;
  message: string;
  causes?: readonly StatusCause[] | undefined;
  retryAfterMs?: number | undefined;
  /** The object that the answer is about, e.g. "secrets/web-mtls", when the server says it. */
  about?: string | undefined;
}

/** An answer of the API server that is not a success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status, e.g. 409. */
  readonly status: number;
  /** Kubernetes' reason: NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired…; `HTTP <status>` if the answer was no Status. */
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  /** How long the server asks to wait, if it does. */
  readonly retryAfterMs?: number;
  readonly about?: string;

  constructor(init: ApiErrorInit) {
    super(init.message);
    this.status = init.status;
    this.reason = init.reason;
    this.causes = init.causes ?? [];
    if (init.retryAfterMs !== undefined) this.retryAfterMs = init.retryAfterMs;
    if (init.about !== undefined) this.about = init.about;
  }
}

/** The request got no usable answer: refused, reset, timed out, truncated. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  /**
   * The request may have taken effect: it was sent, and the answer is lost. A write must not be repeated blindly; look at the object
   * again. False means the server never saw it.
   */
  readonly ambiguous: boolean;
  /** What failed, for metrics and decisions: `refused`, `reset`, `deadline`, `idle`, `truncated`, `too-large`, `closed`, `tls`, `credentials`. */
  readonly kind: TransportFault;

  constructor(kind: TransportFault, message: string, options: { ambiguous: boolean; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.ambiguous = options.ambiguous;
  }
}

export type TransportFault =
  | 'refused'
  | 'tls'
  | 'reset'
  | 'deadline'
  | 'idle'
  | 'truncated'
  | 'too-large'
  | 'credentials'
  | 'closed';

/** True for an ApiError with one of these HTTP statuses. */
export function isStatus(error: unknown, ...statuses: readonly number[]): error is ApiError {
  return error instanceof ApiError && statuses.includes(error.status);
}

export const isNotFound = (error: unknown): error is ApiError => isStatus(error, 404);
/** 409 with reason AlreadyExists: a POST met an object of that name. */
export const isAlreadyExists = (error: unknown): error is ApiError =>
  isStatus(error, 409) && error.reason === 'AlreadyExists';
/** 409 with any other reason: the resourceVersion or uid that the write was bound to is no longer the object's. */
export const isConflict = (error: unknown): error is ApiError =>
  isStatus(error, 409) && error.reason !== 'AlreadyExists';
