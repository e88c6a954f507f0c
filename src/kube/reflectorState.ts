import type { Random } from './clock.ts';
import { compareResourceVersions } from './resource.ts';

/**
 * What a reflector is doing about one collection.
 *
 * listing:  reads the collection page by page; `page` is the token of the next one.
 * watching: follows the changes after `resourceVersion`.
 * probing:  the watch ended in a way that may hide something; asks for the collection's present resourceVersion before it goes on.
 */
export type State =
  | ({ readonly at: 'listing'; readonly page?: string; readonly limit: number } & Counts)
  | ({ readonly at: 'watching'; readonly resourceVersion: string; readonly fruitless: number } & Counts)
  | ({ readonly at: 'probing'; readonly resourceVersion: string } & Counts);

interface Counts {
  /** Faults in a row of what it is doing. */
  readonly failures: number;
  /** LISTs since a watch last brought something. A LIST may be as large as the cluster: the more of them, the longer the pause before. */
  readonly relists: number;
}

export type Input =
  /** A page of the LIST came; `next` is the token of the following one. */
  | { readonly type: 'page'; readonly next?: string | undefined; readonly resourceVersion: string }
  | { readonly type: 'list-failed'; readonly fault: Fault }
  /** An event or bookmark of the watch. */
  | { readonly type: 'progress'; readonly resourceVersion: string }
  | { readonly type: 'watch-ended'; readonly fault: Fault; readonly fruitful: boolean }
  | { readonly type: 'probed'; readonly resourceVersion: string }
  | { readonly type: 'probe-failed'; readonly fault: Fault };

/**
 * Why something ended.
 *
 * clean:     the server ended the watch, as it does after timeoutSeconds.
 * gone:      410: the resourceVersion or the token of the next page is compacted away.
 * rejected:  the server understood and refuses for a reason in the request (400, 422, "too large resource version").
 * unavailable: it answered that it cannot now (429, 5xx), or that we may not (401, 403, 404): only time or a person helps.
 * broken:    no connection, or it broke off.
 * idle:      nothing came for too long.
 * garbled:   what came could not be read.
 * too-large: a page was larger than allowed.
 */
export interface Fault {
  readonly kind: 'clean' | 'gone' | 'rejected' | 'unavailable' | 'broken' | 'idle' | 'garbled' | 'too-large';
  readonly retryAfterMs?: number | undefined;
}

export interface Step {
  readonly state: State;
  /** Wait before going on: as long as the server asked, else by the number of failures. */
  readonly pause?: { readonly failures: number; readonly retryAfterMs?: number | undefined };
  /** The LIST is complete: what its pages brought becomes the content of the store. */
  readonly commit?: true;
  /** The LIST begins anew: what its pages brought is void. */
  readonly discard?: true;
  /** The server went back in time: an object may be another under a resourceVersion that we know. */
  readonly rewound?: true;
}

export const PAGE_LIMIT = 200;
/** After a page token expired: fewer, larger pages come through before the next compaction. */
const LARGEST_PAGE_LIMIT = 8_000;
/** Watches that brought nothing readable, one after another, before the collection is listed instead. */
const FRUITLESS_WATCHES = 3;

export function initialState(limit = PAGE_LIMIT): State {
  return { at: 'listing', limit, failures: 0, relists: 0 };
}

/** The reflector's whole decision: what to do next after what happened. An input that does not fit the state is an error of the caller. */
export function step(state: State, input: Input): Step {
  switch (state.at) {
    case 'listing':
      if (input.type === 'page') return page(state, input);
      if (input.type === 'list-failed') return listFailed(state, input.fault);
      break;
    case 'watching':
      if (input.type === 'progress') return progress(state, input.resourceVersion);
      if (input.type === 'watch-ended') return watchEnded(state, input.fault, input.fruitful);
      break;
    case 'probing':
      if (input.type === 'probed') return probed(state, input.resourceVersion);
      if (input.type === 'probe-failed') return again(state, input.fault);
      break;
  }
  throw new Error(`a reflector that is ${state.at} cannot take "${input.type}"`);
}

type Listing = Extract<State, { at: 'listing' }>;
type Watching = Extract<State, { at: 'watching' }>;
type Probing = Extract<State, { at: 'probing' }>;

function page(state: Listing, input: Extract<Input, { type: 'page' }>): Step {
  const { limit, relists } = state;
  if (input.next) return { state: { at: 'listing', page: input.next, limit, failures: 0, relists } };
  const { resourceVersion } = input;
  return { state: { at: 'watching', resourceVersion, failures: 0, fruitless: 0, relists }, commit: true };
}

function listFailed(state: Listing, fault: Fault): Step {
  const failures = state.failures + 1;
  const pause = { failures, retryAfterMs: fault.retryAfterMs };
  if (fault.kind === 'gone' || fault.kind === 'rejected') {
    // The token expired. The server offers one that goes on from now, at the price of an inconsistent list: the watch could not follow it.
    const limit = state.page === undefined ? state.limit : Math.min(state.limit * 2, LARGEST_PAGE_LIMIT);
    return { state: { at: 'listing', limit, failures, relists: state.relists }, pause, discard: true };
  }
  if (fault.kind === 'too-large' && state.limit > 1) {
    return { state: { ...state, limit: Math.max(1, Math.floor(state.limit / 4)) } };
  }
  // The same page again: the token stays good for minutes, and fifty thousand objects need not be read twice for one 503.
  return { state: { ...state, failures }, pause };
}

function progress(state: Watching, resourceVersion: string): Step {
  // A watch delivers in order. Going back means that etcd was restored from a backup: nothing we know is sure.
  if (isBefore(resourceVersion, state.resourceVersion)) return { ...relist(state), rewound: true };
  return { state: { at: 'watching', resourceVersion, failures: 0, fruitless: 0, relists: 0 } };
}

function watchEnded(state: Watching, fault: Fault, fruitful: boolean): Step {
  const failures = state.failures + 1;
  const fruitless = fruitful ? 0 : state.fruitless + 1;
  const pause = { failures, retryAfterMs: fault.retryAfterMs };
  switch (fault.kind) {
    case 'clean':
      // One that ends at once, without a word, would be opened again in a tight loop.
      if (!fruitful) return { state: { ...state, failures }, pause };
      return { state: { ...state, failures: 0, fruitless: 0, relists: 0 } };
    case 'gone':
    case 'rejected':
      return relist(state, fault.retryAfterMs);
    case 'unavailable':
      return { state: { ...state, failures }, pause };
    case 'idle':
      return { state: probe(state, state.failures) };
    case 'broken':
      // The server may come back with an older etcd, and a watch from a resourceVersion of the future is silent for ever.
      return { state: probe(state, failures), pause };
    case 'garbled':
    case 'too-large':
      if (fruitless >= FRUITLESS_WATCHES) return relist(state);
      return { state: { ...state, failures, fruitless }, pause };
  }
}

function probed(state: Probing, resourceVersion: string): Step {
  if (isBefore(resourceVersion, state.resourceVersion)) return { ...relist(state), rewound: true };
  return { state: { ...state, at: 'watching', fruitless: 0 } };
}

function again(state: Probing, fault: Fault): Step {
  const failures = state.failures + 1;
  return { state: { ...state, failures }, pause: { failures, retryAfterMs: fault.retryAfterMs } };
}

function probe({ resourceVersion, relists }: Watching, failures: number): Probing {
  return { at: 'probing', resourceVersion, failures, relists };
}

function relist(state: Watching | Probing, retryAfterMs?: number): Step {
  const relists = state.relists + 1;
  const pause = { failures: relists, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  return { state: { at: 'listing', limit: PAGE_LIMIT, failures: 0, relists }, discard: true, pause };
}

/** What cannot be compared is taken as before: a LIST is always right. */
function isBefore(a: string, b: string): boolean {
  return (compareResourceVersions(a, b) ?? -1) < 0;
}

const BASE_PAUSE_MS = 200;
const MAX_PAUSE_MS = 30_000;

/** Milliseconds to wait: doubling from 0.2 s to 30 s with half jitter, never less than the server asked. */
export function pauseMs(pause: { failures: number; retryAfterMs?: number | undefined }, random: Random): number {
  const ceiling = Math.min(MAX_PAUSE_MS, BASE_PAUSE_MS * 2 ** Math.min(Math.max(0, pause.failures - 1), 16));
  const own = ceiling / 2 + (random() * ceiling) / 2;
  return Math.max(own, (pause.retryAfterMs ?? 0) * (1 + random() / 5));
}
