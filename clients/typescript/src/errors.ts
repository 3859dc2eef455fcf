import { zErrorResponse } from "./generated/zod.gen.js";

/** Statuses after which the same request may succeed later. */
export const TRANSIENT = [408, 429, ...Array.from({ length: 100 }, (_, n) => 500 + n)];

/** An error response. `code` is the stable code of the API, or `http_<status>` if a proxy answered. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;

  constructor({ status, headers }: Response, body: unknown) {
    const first = firstError(body);
    super(first?.detail ?? `Something between here and the API answered ${status}.`);
    this.status = status;
    this.code = first?.code ?? `http_${status}`;
    this.requestId = headers.get("X-Request-ID");
  }
}

/** A 2xx response that does not match the schema. `path` is the place in the body, empty for the whole body. */
export class ApiShapeError extends Error {
  override readonly name = "ApiShapeError";
  readonly path: string;
  readonly requestId: string | null;

  constructor({ method, url }: Request, { headers }: Response, path: string, problem: string) {
    const place = `${path || "the body"} of ${method} ${new URL(url).pathname}`;
    super(`The answer is not what the API's schema says at ${place}: ${problem}.`);
    this.path = path;
    this.requestId = headers.get("X-Request-ID");
  }
}

/** Clerk's `getToken` failed or took too long. The session may still be valid: `onSignedOut` is not called. */
export class TokenUnavailable extends Error {
  override readonly name = "TokenUnavailable";
}

/** Another user or session is signed in than the one that made the call. The refused request was not sent again. */
export class AccountChanged extends Error {
  override readonly name = "AccountChanged";

  constructor() {
    super(
      "The account was switched during the call, so the request was not sent again. Load the page's data anew.",
    );
  }
}

/** Return whether a read may succeed if it is sent again: after network failures, 5xx, 408 and 429. */
export const isTransient = (error: unknown): boolean =>
  error instanceof ApiError ? TRANSIENT.includes(error.status) : error instanceof TypeError;

/** Return the first error of the API's error body, or undefined for another body. */
export const firstError = (body: unknown) => zErrorResponse.safeParse(body).data?.errors[0];
