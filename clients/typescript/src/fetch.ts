import ky, { HTTPError } from "ky";
import { isSameAccount } from "./account.js";
import { AccountChanged, firstError, TokenUnavailable, TRANSIENT } from "./errors.js";

type Token = string | null;
/** Clerk's `getToken`, as `useAuth()` and `clerk.session` offer it. */
export type GetToken = (options?: { skipCache?: boolean }) => Promise<Token>;
export type Fetch = (request: Request) => Promise<Response>;
/** The renewal of a token: the latest one, the latest that has ended, and what that one found. */
interface Renewal {
  token: Token;
  renewal?: Promise<Token>;
  finished?: Promise<Token>;
  result?: Token;
}

const TOKEN_MS = 10_000; // Clerk's own getToken retries for up to three minutes
const SECOND_ATTEMPT_MS = 500; // getToken returns null while Clerk loads or switches accounts
const RESPONSE_MS = 30_000;
const READS = ["get", "head", "options"];
const BACKOFF = { statusCodes: TRANSIENT, afterStatusCodes: TRANSIENT, maxRetryAfter: 20_000, jitter: true };

/** Return a fetch that sends reads again after transient failures, with backoff or as `Retry-After` says. */
export function retryingFetch(fetch: Fetch): Fetch {
  const retry = { limit: 3, methods: READS, ...BACKOFF };
  const send = ky.create({ fetch: (request) => fetch(request as Request), retry, timeout: RESPONSE_MS });
  return (request) =>
    send(request).catch((error: unknown) => {
      if (error instanceof HTTPError) return error.response;
      throw error;
    });
}

/** Return a fetch that sends a token, if there is one. */
export function authenticatedFetch(fetch: Fetch, getToken: GetToken): Fetch {
  return async (request) =>
    fetch(withToken(request, await unlessAborted(request.signal, requestToken(getToken))));
}

/** Return a fetch that sends a token, and renews a refused token once and sends the request again.
 *
 * Calls refused with the same token share every renewal that was running when they were sent. A request is never
 * sent again with the token of another user or session: it rejects with `AccountChanged`. */
export function renewingFetch(fetch: Fetch, getToken: GetToken, onSignedOut: () => void): Fetch {
  let current: Renewal | undefined;
  let latest: Token = null; // the newest token, null after a sign-out
  let ended: Token | undefined; // what was refused when the user was signed out, undefined before

  async function getLatest(options?: { skipCache: boolean }): Promise<Token> {
    const token = await requestToken(getToken, options);
    if (token && token !== ended) [latest, ended] = [token, undefined];
    return token;
  }

  async function renew(refused: Token): Promise<Token> {
    // Another call, or Clerk itself, may have a newer token already.
    let token = refused && (await getLatest());
    if (token && token === refused) token = await getLatest({ skipCache: true });
    if (!token) {
      await new Promise((resolve) => setTimeout(resolve, SECOND_ATTEMPT_MS));
      token = await getLatest(refused ? { skipCache: true } : undefined);
    }
    return token === refused ? null : token;
  }

  function signOut(refused: Token): void {
    if (ended !== undefined) return;
    [latest, ended] = [null, refused];
    onSignedOut();
  }

  return async (request) => {
    const before = latest;
    const token = await unlessAborted(request.signal, getLatest());
    if (current?.token !== token) current = { token };
    const [state, finished] = [current, current.finished];
    const copy = request.clone(); // a body can be read only once
    const response = await fetch(withToken(request, token));
    if (!(await isTokenRefused(response, token))) return response;
    // A renewal that found no token says nothing about a user who has signed in since.
    const isOutdated = state.renewal === finished || (state.result === null && latest !== null);
    if (!state.renewal || isOutdated) {
      state.result = undefined;
      state.renewal = renew(token)
        .then((renewed) => {
          state.result = renewed;
          return renewed;
        })
        .finally(() => {
          state.finished = state.renewal;
        });
    }
    const renewed = await unlessAborted(request.signal, state.renewal);
    if (!renewed) {
      signOut(token);
      return response;
    }
    const sender = token ?? before;
    if (sender && !isSameAccount(sender, renewed)) throw new AccountChanged();
    return fetch(withToken(copy, renewed));
  };
}

async function requestToken(getToken: GetToken, options?: { skipCache: boolean }): Promise<Token> {
  try {
    return (await unlessAborted(AbortSignal.timeout(TOKEN_MS), getToken(options))) || null;
  } catch (cause) {
    throw new TokenUnavailable("Clerk gave no token: its getToken failed or took too long.", { cause });
  }
}

function withToken(request: Request, token: Token): Request {
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

/** Return whether another token may help, which is not so after `user_deleted` or `session_pending`. */
async function isTokenRefused(response: Response, token: Token): Promise<boolean> {
  if (response.status !== 401) return false;
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  const code = firstError(body)?.code;
  return token ? code?.startsWith("token_") === true : code === "not_authenticated";
}

function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}
