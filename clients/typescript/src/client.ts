import { ApiError, type ApiShapeError } from "./errors.js";
import { authenticatedFetch, type GetToken, renewingFetch } from "./fetch.js";
import { type Client, createClient } from "./generated/client/index.js";
import {
  BROWSER,
  type Fetch,
  keepOptions,
  markingFetch,
  type Patience,
  patientFetch,
  readText,
  retryingFetch,
  SERVER,
} from "./patience.js";
import { noStore, requireRuntime } from "./runtime.js";
import { logShape, notJson, type OnShape, reportingValidator } from "./shape.js";

// These options can be given with each call too.
declare module "./generated/client/types.gen.js" {
  interface Config extends Patience {
    /** The signed-in user: part of each query key, so that cached data belongs to a user. */
    userId?: string | undefined;
    onShape?: OnShape | undefined;
  }
}

interface CommonOptions extends Patience {
  baseUrl: string;
  /** Clerk's id of the user whose calls these are. No token of another user is sent: `AccountChanged`. */
  userId?: string | null | undefined;
  fetch?: Fetch;
  /** What happens to an answer that does not match the schema. By default only unknown values of enums are accepted. */
  onShape?: OnShape;
}
export interface ApiClientOptions extends CommonOptions {
  /** Asked for every call, so wait until Clerk has loaded: before that it returns null. */
  getToken: GetToken;
  /** There is no token, or none but the refused one. Called once, and again only after there was a token. */
  onSignedOut?: () => void;
  /** The API refuses the user of the token: `error.code` is `user_deleted` or `user_inactive`. Once for each token. */
  onUserRefused?: (error: ApiError) => void;
}
export interface ServerApiClientOptions extends CommonOptions {
  getToken: () => Promise<string | null>;
}

/** Return a client for browsers. It renews a refused token once, and calls `onSignedOut` after a sign-out. */
export function createApiClient(options: ApiClientOptions): Client {
  const { getToken, onSignedOut = () => {}, onUserRefused = () => {} } = options;
  const userId = options.userId ?? undefined;
  const session = { getToken, userId, onSignedOut, onUserRefused };
  return clientOver(options, BROWSER, (send) => renewingFetch(send, session));
}

/** Return a client for servers. Create one per request, because the token belongs to one user; none is renewed. */
export function createServerApiClient(options: ServerApiClientOptions): Client {
  const { getToken, userId } = options;
  return clientOver(options, SERVER, (send) => authenticatedFetch(send, getToken, userId ?? undefined), true);
}

type Send = ReturnType<typeof retryingFetch>;

function clientOver(
  { baseUrl, fetch, userId, onShape, ...options }: CommonOptions,
  { retries, timeout, budget }: Required<Patience>,
  withTokens: (send: Send) => Send,
  isServer = false,
): Client {
  requireRuntime(baseUrl, fetch);
  // Read for each request, because `fetch` may be replaced later, for example by an error tracker.
  const send = retryingFetch(fetch ?? ((request) => globalThis.fetch(request)));
  const patience = {
    retries: options.retries ?? retries,
    timeout: options.timeout ?? timeout,
    budget: options.budget ?? budget,
  };
  return configure(
    createClient({
      baseUrl,
      // Next.js would cache responses and return them to other users.
      cache: isServer ? noStore() : undefined,
      fetch: patientFetch(withTokens(send), patience) as typeof globalThis.fetch,
      onShape,
      parseAs: "json",
      userId: userId ?? undefined,
    }),
  );
}

/** Return a client over a `fetch` that adds tokens and retries itself: with types, validation and errors only. */
export function checkedClient(baseUrl: string, fetch: Fetch, cache?: RequestCache): Client {
  requireRuntime(baseUrl, fetch);
  const send = markingFetch(fetch) as typeof globalThis.fetch;
  return configure(createClient({ baseUrl, cache, fetch: send, parseAs: "json" }));
}

function configure(client: Client): Client {
  client.interceptors.request.use((request, options) => {
    keepOptions(request, options);
    return request;
  });
  client.interceptors.response.use(async (response, request, options) => {
    if (!response.ok || options.parseAs !== "json") return response;
    const validate = options.responseValidator;
    if (validate)
      options.responseValidator = reportingValidator(validate, request, response, options.onShape);
    const text = await (await readText(response)).text(); // the generated code reads it again
    if (text) return response;
    await options.responseValidator?.(undefined); // the generated code would return {} without a check
    options.parseAs = "stream"; // the generated code then returns `body` as it is
    return Object.defineProperty(response, "body", { value: undefined });
  });
  client.interceptors.error.use((error, response, request) => {
    if (!request) return withoutQuery(error); // the request cannot be built
    if (!response) return error;
    if (!response.ok) return new ApiError(request, response, error);
    if (!(error instanceof SyntaxError)) return error; // the shape, or the body was cut off
    const shape: ApiShapeError = notJson(request, response);
    logShape(shape);
    return shape;
  });
  return client;
}

/** Return the error of an address that cannot be parsed, without the query that its message may hold. */
const withoutQuery = (error: unknown): unknown =>
  error instanceof TypeError && error.message.includes("?")
    ? new TypeError(error.message.replace(/\?[^\s'"]*/g, ""))
    : error;
