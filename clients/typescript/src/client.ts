import { $ZodError } from "zod/v4/core";
import { ApiError, ApiShapeError } from "./errors.js";
import { type Fetch, type GetToken, patientFetch, renewingFetch, signedFetch } from "./fetch.js";
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

/** For browsers: renews a refused token once, and tells when the person is signed out. */
export function createApiClient(options: ApiClientOptions): Client {
  const { baseUrl, getToken, fetch = globalThis.fetch, onSignedOut = () => {} } = options;
  return checkedClient(baseUrl, renewingFetch(patientFetch(fetch), getToken, onSignedOut));
}

/** For servers: a client per request, for its token is one person's; nothing here could renew a refused one. */
export function createServerApiClient(options: ServerApiClientOptions): Client {
  const { baseUrl, getToken, fetch = globalThis.fetch } = options;
  // Next.js would keep answers for the next visitor, who may be somebody else.
  return checkedClient(baseUrl, signedFetch(patientFetch(fetch), getToken), "no-store");
}

/** Over a fetch of one's own, which sees to tokens and patience: types, validation and our errors alone. */
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
    if (!response || !request) return error; // nobody answered, or nobody was asked
    if (!response.ok) return new ApiError(response, error);
    if (!(error instanceof $ZodError || error instanceof SyntaxError)) return error; // the body broke off
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
