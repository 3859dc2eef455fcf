import ky, { HTTPError } from "ky";
import { isSameAccount } from "./account.js";
import { AccountChanged, firstError, TokenUnavailable, TRANSIENT } from "./errors.js";

type Token = string | null;
/** Clerk's `getToken`, as `useAuth()` and `clerk.session` give it. */
export type GetToken = (options?: { skipCache?: boolean }) => Promise<Token>;
export type Fetch = (request: Request) => Promise<Response>;

const TOKEN_MS = 10_000; // Clerk's own getToken goes on trying for up to three minutes
const SECOND_ASK_MS = 500; // getToken returns null while Clerk loads or switches accounts
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

/** Return a fetch that sends a token, and renews a refused token once and sends the request again.
 *
 * Calls refused with the same token share every renewal that was running when they were sent. A request is never
 * sent again with the token of another user or session: it rejects with `AccountChanged`. */
export function renewingFetch(fetch: Fetch, getToken: GetToken, onSignedOut: () => void): Fetch {
  let current: { token: Token; renewal?: Promise<Token>; over?: Promise<Token> } | undefined;
  let latest: Token = null; // the newest token, null after a sign-out
  let ended: Token | undefined; // what was refused when the user was signed out, undefined before

  async function look(options?: { skipCache: boolean }): Promise<Token> {
    const token = await ask(getToken, options);
    if (token && token !== ended) [latest, ended] = [token, undefined];
    return token;
  }

  async function renew(refused: Token): Promise<Token> {
    // Another call, or Clerk itself, may have a newer token already.
    let token = refused && (await look());
    if (token && token === refused) token = await look({ skipCache: true });
    if (!token) {
      await new Promise((resolve) => setTimeout(resolve, SECOND_ASK_MS));
      token = await look(refused ? { skipCache: true } : undefined);
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
    const token = await unlessAborted(request.signal, look());
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
    if (!fresh) {
      signOut(token);
      return response;
    }
    const sender = token ?? before;
    if (sender && !isSameAccount(sender, fresh)) throw new AccountChanged();
    return fetch(signed(spare, fresh));
  };
}

async function ask(getToken: GetToken, options?: { skipCache: boolean }): Promise<Token> {
  try {
    return (await unlessAborted(AbortSignal.timeout(TOKEN_MS), getToken(options))) || null;
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
