import { $ZodError } from "zod/v4/core";
import { ApiError, ApiShapeError } from "./errors.js";
import { authenticatedFetch, type Fetch, type GetToken, renewingFetch, retryingFetch } from "./fetch.js";
import { type Client, createClient } from "./generated/client/index.js";

export interface ApiClientOptions {
  baseUrl: string;
  /** Asked for every call, so wait until Clerk has loaded: before that it returns null. */
  getToken: GetToken;
  fetch?: Fetch;
  /** There is no token, or none but the refused one. Called once, and again only after there was a token. */
  onSignedOut?: () => void;
}
export interface ServerApiClientOptions extends Pick<ApiClientOptions, "baseUrl" | "fetch"> {
  getToken: () => Promise<string | null>;
}

/** Return a client for browsers. It renews a refused token once, and calls `onSignedOut` after a sign-out. */
export function createApiClient(options: ApiClientOptions): Client {
  const { baseUrl, getToken, fetch = globalThis.fetch, onSignedOut = () => {} } = options;
  return checkedClient(baseUrl, renewingFetch(retryingFetch(fetch), getToken, onSignedOut));
}

/** Return a client for servers. Create one per request, because the token belongs to one user; none is renewed. */
export function createServerApiClient(options: ServerApiClientOptions): Client {
  const { baseUrl, getToken, fetch = globalThis.fetch } = options;
  // Next.js would cache responses and return them to other users.
  return checkedClient(baseUrl, authenticatedFetch(retryingFetch(fetch), getToken), "no-store");
}

/** Return a client over a `fetch` that adds tokens and retries itself: with types, validation and errors only. */
export function checkedClient(baseUrl: string, fetch: Fetch, cache?: RequestCache): Client {
  const client = createClient({ baseUrl, cache, fetch: fetch as typeof globalThis.fetch, parseAs: "json" });
  client.interceptors.response.use(async (response, _request, options) => {
    if (!response.ok || options.parseAs !== "json") return response;
    const text = await response.text();
    Object.defineProperty(response, "text", { value: async () => text }); // the generated code reads it again
    if (text) return response;
    await options.responseValidator?.(undefined); // the generated code would return {} without a check
    options.parseAs = "stream"; // the generated code then returns `body` as it is
    return Object.defineProperty(response, "body", { value: undefined });
  });
  client.interceptors.error.use((error, response, request) => {
    if (!response || !request) return error; // there is no response
    if (!response.ok) return new ApiError(response, error);
    if (!(error instanceof $ZodError || error instanceof SyntaxError)) return error; // the body was cut off
    const issue = error instanceof $ZodError ? error.issues[0] : undefined;
    const shape = new ApiShapeError(
      request,
      response,
      issue?.path.join(".") ?? "",
      issue?.code ?? "not JSON",
    );
    console.error(shape.message, { requestId: shape.requestId });
    return shape;
  });
  return client;
}
