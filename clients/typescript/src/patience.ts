import { keepWithBody, unlessAborted, within } from "./abort.js";
import {
  isFetchFailure,
  isTransientStatus,
  markNetworkFailure,
  readRetryAfter,
  TimeoutError,
} from "./errors.js";

export type Fetch = (request: Request) => Promise<Response>;

/** How long a call may take. All of it can be set per client and per call. */
export interface Patience {
  /** How often a read is sent again after a transient failure. Writes are never sent again. */
  retries?: number;
  /** Milliseconds for one attempt, with the body of its answer. Not for uploads, unless given with the call. */
  timeout?: number;
  /** Milliseconds for the whole call, with its token and its retries. Not for uploads, unless given with the call. */
  budget?: number;
}
/** One call: its patience, its end on the clock of `Date.now()`, and a signal that ends it. */
export interface Call {
  retries: number;
  timeout: number;
  until: number;
  signal: AbortSignal;
  isJson: boolean;
}
export type Send = (request: Request, call: Call) => Promise<Response>;

export const BROWSER: Required<Patience> = { retries: 3, timeout: 30_000, budget: 60_000 };
/** A page that waits for its data on a server keeps a user waiting, and a connection. */
export const SERVER: Required<Patience> = { retries: 1, timeout: 2000, budget: 2000 };

const UNLIMITED = { timeout: Number.POSITIVE_INFINITY, budget: Number.POSITIVE_INFINITY };
const BACKOFF_MS = 300;
const MAX_RETRY_AFTER_MS = 20_000;
const READS = ["GET", "HEAD", "OPTIONS"];

interface CallOptions extends Patience {
  parseAs?: string;
  body?: unknown;
  serializedBody?: unknown;
}
const calls = new WeakMap<Request, CallOptions>();

/** Keep the options of the call that this request belongs to. */
export function keepOptions(request: Request, options: CallOptions): void {
  calls.set(request, options);
}

/** Return a fetch that ends each call after its budget. */
export function patientFetch(send: Send, defaults: Required<Patience>): Fetch {
  return (request) => {
    const options = calls.get(request) ?? {};
    const limits = isUpload(options) ? { ...defaults, ...UNLIMITED } : defaults;
    const { retries = limits.retries, timeout = limits.timeout, budget = limits.budget } = options;
    const isJson = options.parseAs === "json";
    const until = Date.now() + budget;
    const late = () => new TimeoutError(request, budget);
    return within(request.signal, budget, late, !isJson, async (signal) =>
      keepWithBody(request, await send(request, { retries, timeout, until, signal, isJson })),
    );
  };
}

/** Return a fetch that sends reads again after transient failures, with backoff or as `Retry-After` says. */
export function retryingFetch(fetch: Fetch): Send {
  return async (request, call) => {
    const retries = READS.includes(request.method) ? call.retries : 0;
    for (let attempt = 0; ; attempt++) {
      const result = await settle(sendOnce(fetch, request, call));
      const delay = getDelay(result, attempt);
      if (delay === undefined || attempt >= retries || Date.now() + delay >= call.until) {
        if ("error" in result) throw result.error;
        return result.response;
      }
      await unlessAborted(call.signal, new Promise((resolve) => setTimeout(resolve, delay)));
    }
  };
}

type Result = { response: Response } | { error: unknown };

const settle = (work: Promise<Response>): Promise<Result> =>
  work.then(
    (response) => ({ response }),
    (error: unknown) => ({ error }),
  );

/** Return the milliseconds to wait before the next attempt, or undefined if the result is final. */
function getDelay(result: Result, attempt: number): number | undefined {
  const backoff = Math.random() * BACKOFF_MS * 2 ** attempt;
  if ("error" in result) return isFetchFailure(result.error) ? backoff : undefined;
  const { status, headers } = result.response;
  if (!isTransientStatus(status)) return undefined;
  const seconds = readRetryAfter(headers);
  return seconds === null ? backoff : Math.min(seconds * 1000, MAX_RETRY_AFTER_MS);
}

/** Send the request once. A JSON answer is read within the time limit, other answers are left to the caller. */
function sendOnce(fetch: Fetch, request: Request, { timeout, signal, isJson }: Call): Promise<Response> {
  const late = () => new TimeoutError(request, timeout);
  return within(signal, timeout, late, !isJson, async (limit) => {
    const attempt = new Request(request, { signal: limit });
    const response = keepWithBody(attempt, await markingFetch(fetch)(attempt));
    return isJson ? readText(response) : response;
  });
}

/** Return a fetch whose network failures are marked. */
export const markingFetch =
  (fetch: Fetch): Fetch =>
  (request) =>
    marked(fetch(request));

/** Return the response with its text in memory, so that it can be read more than once. */
export async function readText(response: Response): Promise<Response> {
  const text = await marked(response.text());
  return Object.defineProperty(response, "text", { configurable: true, value: async () => text });
}

function marked<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    markNetworkFailure(error);
    throw error;
  });
}

/** Return whether the body is a form with files, a file or a stream: JSON is serialized to a string. */
const isUpload = ({ body, serializedBody }: CallOptions): boolean =>
  body !== undefined && typeof serializedBody !== "string";
