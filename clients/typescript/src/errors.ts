/** One error of the API: `code` is stable, `detail` is for users, `attr` is the field, or null for the whole request. */
export interface ErrorItem {
  code: string;
  detail: string;
  attr: string | null;
}

/** All that a call rejects with, except the reason of your own AbortSignal and errors of your own functions. */
export type CallError =
  | ApiError
  | ApiShapeError
  | TokenUnavailable
  | AccountChanged
  | TimeoutError
  | TypeError;

/** Return whether the same request may succeed later after this status. */
export const isTransientStatus = (status: number): boolean =>
  status === 408 || status === 429 || status >= 500;

/** An error response. `code` is the stable code of the API, or `http_<status>` if a proxy answered. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly type: "client_error" | "server_error" | "validation_error";
  /** The first error's code. */
  readonly code: string;
  /** All errors of the body, at least one. */
  readonly errors: readonly ErrorItem[];
  /** Seconds to wait, as the header Retry-After says. */
  readonly retryAfter: number | null;
  /** What Clerk's `useReverification` looks for, with the code `reverification_required` only. */
  readonly clerkError: Readonly<Record<string, unknown>> | undefined;
  readonly requestId: string | null;
  readonly method: string;
  /** The path of the address, without the query. */
  readonly path: string;

  constructor({ method, url }: Request, { status, headers }: Response, body: unknown) {
    const detail = `Something between here and the API answered ${status}.`;
    const errors = readErrors(body) ?? [{ code: `http_${status}`, detail, attr: null }];
    super(errors[0].detail);
    this.status = status;
    this.type = status >= 500 ? "server_error" : isValidation(body) ? "validation_error" : "client_error";
    this.code = errors[0].code;
    this.errors = errors;
    this.retryAfter = readRetryAfter(headers);
    this.clerkError = readClerkError(body);
    this.requestId = headers.get("X-Request-ID");
    this.method = method;
    this.path = pathOf(url);
  }

  /** Return the messages by field name, for forms. Errors of the whole form are under `non_field_errors`. */
  fieldErrors(): Partial<Record<string, string[]>> {
    const messages = new Map<string, string[]>();
    for (const { attr, detail } of this.errors) {
      if (attr !== null) messages.set(attr, [...(messages.get(attr) ?? []), detail]);
    }
    return Object.fromEntries(messages);
  }
}

/** A 2xx response that does not match the schema. `path` is the place in the body, empty for the whole body. */
export class ApiShapeError extends Error {
  override readonly name = "ApiShapeError";
  readonly path: string;
  readonly requestId: string | null;

  constructor({ method, url }: Request, { headers }: Response, path: string, problem: string) {
    const place = `${path || "the body"} of ${method} ${pathOf(url)}`;
    super(`The answer is not what the API's schema says at ${place}: ${problem}.`);
    this.path = path;
    this.requestId = headers.get("X-Request-ID");
  }
}

/** Clerk's `getToken` failed or took too long. The session may still be valid: `onSignedOut` is not called. */
export class TokenUnavailable extends Error {
  override readonly name = "TokenUnavailable";
}

/** Another user or session is signed in than the one that made the call. The request was not sent as that user. */
export class AccountChanged extends Error {
  override readonly name = "AccountChanged";

  constructor() {
    super("The account was switched during the call, so the request was not sent as the other user.");
  }
}

/** The call took longer than its `timeout` or its `budget`. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";

  constructor({ method, url }: Request, milliseconds: number) {
    super(`${method} ${pathOf(url)} was not answered within ${milliseconds / 1000} s.`);
  }
}

const networkFailures = new WeakSet<object>();

/** Return whether `fetch` rejects with such an error when the network fails. Cloudflare Workers use no TypeError. */
export const isFetchFailure = (error: unknown): error is Error =>
  error instanceof TypeError || (error instanceof Error && "retryable" in error && error.retryable === true);

/** Mark an error of `fetch` as a failure of the network, which its class alone does not say. */
export function markNetworkFailure(error: unknown): void {
  if (isFetchFailure(error)) networkFailures.add(error);
}

/** Return whether a read may succeed if it is sent again: after network failures, 5xx, 408 and 429. */
export const isTransient = (error: unknown): boolean =>
  error instanceof ApiError
    ? isTransientStatus(error.status)
    : error instanceof Error && networkFailures.has(error);

/** Return the errors of the API's error body, or undefined for another body. */
export function readErrors(body: unknown): [ErrorItem, ...ErrorItem[]] | undefined {
  const { errors } = (body ?? {}) as { errors?: unknown };
  return Array.isArray(errors) && errors.length > 0 && errors.every(isErrorItem)
    ? (errors as [ErrorItem, ...ErrorItem[]])
    : undefined;
}

function readClerkError(body: unknown): Record<string, unknown> | undefined {
  const { clerk_error } = (body ?? {}) as { clerk_error?: unknown };
  return typeof clerk_error === "object" && clerk_error !== null
    ? (clerk_error as Record<string, unknown>)
    : undefined;
}

function isErrorItem(item: unknown): item is ErrorItem {
  const { code, detail, attr } = (item ?? {}) as Record<string, unknown>;
  const isAttr = attr === null || typeof attr === "string";
  return typeof code === "string" && typeof detail === "string" && isAttr;
}

const isValidation = (body: unknown): boolean =>
  readErrors(body) !== undefined && (body as { type?: unknown }).type === "validation_error";

/** Return the seconds of Retry-After, which is a number or a date, or null. */
export function readRetryAfter(headers: Headers): number | null {
  const value = headers.get("Retry-After")?.trim();
  if (!value) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** Return the path alone: a query may hold what must not be in a log. */
const pathOf = (url: string): string =>
  url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "") || "/";
