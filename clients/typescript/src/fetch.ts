import ky, { HTTPError } from "ky";
import { firstError, TokenUnavailable, TRANSIENT } from "./errors.js";

type Token = string | null;
/** Clerk's `getToken`, as `useAuth()` and `clerk.session` give it. */
export type GetToken = (options?: { skipCache?: boolean }) => Promise<Token>;
export type Fetch = (request: Request) => Promise<Response>;

const TOKEN_MS = 10_000; // Clerk's own getToken goes on trying for up to three minutes
const ANSWER_MS = 30_000;
const READS = ["get", "head", "options"];
const WAITS = { statusCodes: TRANSIENT, afterStatusCodes: TRANSIENT, maxRetryAfter: 20_000, jitter: true };

/** Give a fetch that repeats reads which failed for the moment, later each time, or when Retry-After says. */
export function patientFetch(fetch: Fetch): Fetch {
  const retry = { limit: 3, methods: READS, ...WAITS };
  const patient = ky.create({ fetch: (request) => fetch(request as Request), retry, timeout: ANSWER_MS });
  return (request) =>
    patient(request).catch((error: unknown) => {
      if (error instanceof HTTPError) return error.response;
      throw error;
    });
}

/** Give a fetch that sends a token, if there is one. */
export function signedFetch(fetch: Fetch, getToken: GetToken): Fetch {
  return async (request) => fetch(signed(request, await unlessAborted(request.signal, ask(getToken))));
}

/** Give a fetch that sends a token, and when the API refuses it sends the request once more with another.
 *
 * Calls refused with the same token share every renewal that was not over when they left. */
export function renewingFetch(fetch: Fetch, getToken: GetToken, onSignedOut: () => void): Fetch {
  let current: { token: Token; renewal?: Promise<Token>; over?: Promise<Token> } | undefined;

  async function renew(refused: Token): Promise<Token> {
    // Another call, or Clerk itself, may have a newer one already.
    let token = refused && (await ask(getToken));
    if (token && token === refused) token = await ask(getToken, { skipCache: true });
    if (token && token !== refused) return token;
    onSignedOut();
    return null;
  }

  return async (request) => {
    const token = await unlessAborted(request.signal, ask(getToken));
    if (current?.token !== token) current = { token };
    const [era, over] = [current, current.over];
    const spare = request.clone(); // a body can be read only once
    const response = await fetch(signed(request, token));
    if (!(await refuses(response, token))) return response;
    if (!era.renewal || era.renewal === over) {
      era.renewal = renew(token).finally(() => {
        era.over = era.renewal;
      });
    }
    const fresh = await unlessAborted(request.signal, era.renewal);
    return fresh ? fetch(signed(spare, fresh)) : response;
  };
}

async function ask(getToken: GetToken, options?: { skipCache: boolean }): Promise<Token> {
  try {
    return await unlessAborted(AbortSignal.timeout(TOKEN_MS), getToken(options));
  } catch (cause) {
    throw new TokenUnavailable("Clerk gave no token: its getToken failed or took too long.", { cause });
  }
}

function signed(request: Request, token: Token): Request {
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

/** Tell whether the session may be over. With `user_deleted` or `session_pending` no other token would help. */
async function refuses(response: Response, token: Token): Promise<boolean> {
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
