import type { Random } from './clock.ts';

/** What became of one attempt of a request, as far as the decision to repeat it goes. */
export type Attempt =
  | { readonly outcome: 'answered'; readonly status: number; readonly retryAfterMs?: number | undefined }
  /** Nothing of the request reached the server: refused, no route, failed handshake, name unknown. */
  | { readonly outcome: 'unsent' }
  /** It was sent, wholly or in part, and the answer did not come or could not be read. */
  | { readonly outcome: 'lost' };

export interface RetryInput {
  readonly attempt: Attempt;
  /** GET changes nothing, so repeating it is always safe. */
  readonly safe: boolean;
  /** How many attempts were made, this one included. */
  readonly attempts: number;
  /** Milliseconds that are left of the request's deadline. */
  readonly remainingMs: number;
  /** Whether fresh credentials were fetched for this request already. */
  readonly refreshed: boolean;
  readonly random: Random;
}

export type RetryDecision =
  | { readonly action: 'give-up' }
  | { readonly action: 'retry'; readonly afterMs: number }
  | { readonly action: 'refresh-credentials' };

const GIVE_UP: RetryDecision = { action: 'give-up' };

/** First wait between two attempts, doubled each time. */
const BASE_MS = 100;
/** Longest wait that we choose ourselves. */
const MAX_MS = 5_000;
/** Longest wait that we take from a server: a broken or hostile one may ask for years. */
export const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * Whether and when to send a request again.
 *
 * 429 is repeated for every method: the API server sends it before it does anything. 401 once, with fresh credentials, likewise. A request that
 * was never sent is repeated too. Anything else may have taken effect, so only a GET is repeated: the controller looks at the object again and
 * decides anew, which is cheaper than to guess.
 */
export function decideRetry(input: RetryInput): RetryDecision {
  const { attempt } = input;
  if (attempt.outcome === 'answered' && attempt.status === 401) {
    return input.refreshed ? GIVE_UP : { action: 'refresh-credentials' };
  }
  if (!isRepeatable(attempt, input.safe)) return GIVE_UP;
  const asked = attempt.outcome === 'answered' ? attempt.retryAfterMs : undefined;
  const afterMs = asked === undefined ? backoff(input.attempts, input.random) : withJitter(asked, input.random);
  return afterMs < input.remainingMs ? { action: 'retry', afterMs } : GIVE_UP;
}

function isRepeatable(attempt: Attempt, safe: boolean): boolean {
  switch (attempt.outcome) {
    case 'unsent':
      return true;
    case 'lost':
      return safe;
    case 'answered':
      return attempt.status === 429 || (safe && attempt.status >= 500);
  }
}

/** Exponential with half jitter, so that a thousand clients of a server that just came up do not come at once. */
function backoff(attempts: number, random: Random): number {
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(attempts - 1, 16));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/** Never earlier than asked; up to a fifth later, and at least a spread of 100 ms, as Retry-After counts whole seconds for everybody. */
function withJitter(askedMs: number, random: Random): number {
  return askedMs + random() * Math.max(100, askedMs / 5);
}

/** Parses a Retry-After header: delta seconds, or an HTTP date. Undefined for anything else; bounded by MAX_RETRY_AFTER_MS. */
export function parseRetryAfter(header: unknown, nowMs: number): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (typeof text !== 'string') return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  if (!/^[A-Z][a-z]{2}, /.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - nowMs), MAX_RETRY_AFTER_MS);
}
