import { ApiError, type StatusCause } from './errors.ts';
import type { WireAnswer } from './exchange.ts';
import { numberAt, property, stringAt } from './json.ts';
import { MAX_RETRY_AFTER_MS, parseRetryAfter } from './retry.ts';

/** An answer outside 200 to 299 as an error. Its body may be a Kubernetes Status, or whatever a load balancer in between made up. */
export function apiErrorOf(answer: WireAnswer, nowMs: number): ApiError {
  return statusError(parseBody(answer.body), answer.status, parseRetryAfter(answer.headers['retry-after'], nowMs));
}

/** The ERROR event of a watch as an error: its Status carries the code, for the answer itself was a 200. */
export function watchError(object: unknown): ApiError {
  return statusError(object, numberAt(object, 'code') ?? 500);
}

function statusError(body: unknown, status: number, retryAfterMs?: number): ApiError {
  const details = property(body, 'details');
  const name = stringAt(details, 'name');
  const kind = stringAt(details, 'kind');
  const wait = numberAt(details, 'retryAfterSeconds');
  const isStatusKind = stringAt(body, 'kind') === 'Status';
  return new ApiError({
    status,
    reason: (isStatusKind && stringAt(body, 'reason')) || `HTTP ${status}`,
    message: (isStatusKind && printable(stringAt(body, 'message'))) || `the API server answered HTTP ${status}`,
    causes: causesOf(details),
    retryAfterMs: retryAfterMs ?? (wait && wait > 0 ? Math.min(wait * 1000, MAX_RETRY_AFTER_MS) : undefined),
    about: name ? `${kind ?? 'object'}/${name}` : undefined,
  });
}

function causesOf(details: unknown): StatusCause[] {
  const causes = property(details, 'causes');
  if (!Array.isArray(causes)) return [];
  return causes.slice(0, 100).map((cause: unknown) => ({
    reason: stringAt(cause, 'reason') ?? '',
    field: stringAt(cause, 'field') ?? '',
    message: printable(stringAt(cause, 'message')) ?? '',
  }));
}

/** Bounded and without control characters: it ends up in logs and conditions. */
function printable(text: string | undefined): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text?.slice(0, 2000).replace(/[\u0000-\u001f\u007f]+/g, ' ');
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
