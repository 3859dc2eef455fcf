import { unlessAborted, within } from "./abort.js";
import { isLongExpired, isSameAccount, isTokenOf } from "./account.js";
import { AccountChanged, ApiError, TokenUnavailable } from "./errors.js";
import type { Call, Send } from "./patience.js";

type Token = string | null;
/** Clerk's `getToken`, as `useAuth()` and `clerk.session` offer it. */
export type GetToken = (options?: { skipCache?: boolean }) => Promise<Token>;
export interface Session {
  getToken: GetToken;
  /** The user whose calls these are: no token of another user is sent. */
  userId: string | undefined;
  onSignedOut: () => void;
  onUserRefused: (error: ApiError) => void;
}
/** The renewal of a token: the latest one, the latest that has ended, and what that one found. */
interface Renewal {
  token: Token;
  /** The call that tries an expired token, until it is answered. */
  trial?: Promise<void> | undefined;
  renewal?: Promise<Token>;
  finished?: Promise<Token>;
  result?: Token;
}

const TOKEN_MS = 10_000; // Clerk's own getToken retries for up to three minutes
const SECOND_ATTEMPT_MS = 500; // getToken returns null while Clerk loads or switches accounts
const TRIAL_MS = 1000; // the trial may be a slow call
const USER_REFUSED = ["user_deleted", "user_inactive"];

/** Return a fetch that sends a token, if there is one. */
export function authenticatedFetch(send: Send, getToken: GetToken, userId: string | undefined): Send {
  return async (request, call) => {
    const token = await unlessAborted(call.signal, requestToken(getToken));
    return send(withToken(request, token, userId), call);
  };
}

/** Return a fetch that sends a token, and renews a refused token once and sends the request again.
 *
 * Calls refused with the same token share every renewal that was running when they were sent, and calls that start
 * while it runs wait for it. A token that has expired by this device's clock is tried by one call first. A request is
 * never sent again with the token of another user or session: it rejects with `AccountChanged`. */
export function renewingFetch(send: Send, { getToken, userId, onSignedOut, onUserRefused }: Session): Send {
  let current: Renewal | undefined;
  let latest: Token = null; // the newest token, null after a sign-out
  let ended: Token | undefined; // what was refused when the user was signed out, undefined before
  let reported: Token | undefined; // the token whose user was reported as refused
  let isClockWrong = false; // the API has accepted a token that has expired here

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

  function startRenewal(state: Renewal): Promise<Token> {
    state.result = undefined;
    const renewal = renew(state.token)
      .then((renewed) => {
        state.result = renewed;
        return renewed;
      })
      .finally(() => {
        state.finished = renewal;
      });
    state.renewal = renewal;
    return renewal;
  }

  function signOut(refused: Token): void {
    if (ended !== undefined) return;
    [latest, ended] = [null, refused];
    onSignedOut();
  }

  /** Send the request with a token that is not renewed again, and report a user whom the API refuses. */
  async function sendFinally(request: Request, token: Token, call: Call): Promise<Response> {
    const response = await send(withToken(request, token, userId), call);
    if (response.status === 401 || response.status === 403)
      reportRefusal(await readError(request, response, call), token);
    return response;
  }

  function reportRefusal(error: ApiError, token: Token): void {
    if (!USER_REFUSED.includes(error.code) || reported === token) return;
    reported = token;
    onUserRefused(error);
  }

  /** Return the renewal that the refused call waits for: the one that is running, or a new one. */
  function joinRenewal(state: Renewal, finished: Promise<Token> | undefined): Promise<Token> {
    // A renewal that found no token says nothing about a user who has signed in since.
    const isOutdated = state.renewal === finished || (state.result === null && latest !== null);
    return state.renewal && !isOutdated ? state.renewal : startRenewal(state);
  }

  const isDoubtful = (token: Token): boolean => token !== null && !isClockWrong && isLongExpired(token);

  /** Let other calls with the token wait for the outcome of this one, unless it takes long. */
  function startTrial(state: Renewal, outcome: Promise<{ response: Response }>): void {
    const tried = outcome.then(({ response }) => {
      if (response.ok) isClockWrong = true;
    });
    const long = new Promise<void>((resolve) => setTimeout(resolve, TRIAL_MS));
    state.trial ??= Promise.race([tried, long])
      .catch(() => {})
      .finally(() => {
        state.trial = undefined;
      });
  }

  return async (request, call) => {
    const before = latest;
    const token = await unlessAborted(call.signal, getLatest());
    if (current?.token !== token) current = { token };
    const [state, finished] = [current, current.finished];
    const sendAgain = (again: Request, renewed: string): Promise<Response> => {
      const sender = token ?? before;
      if (sender && !isSameAccount(sender, renewed)) throw new AccountChanged();
      return sendFinally(again, renewed, call);
    };
    if (state.trial && isDoubtful(token)) await unlessAborted(call.signal, state.trial);
    const running = getRunning(state, finished);
    const awaited = running && (await unlessAborted(call.signal, running));
    if (awaited) return sendAgain(request, awaited);
    const copy = request.clone(); // a body can be read only once
    const outcome = sendFinally(request, token, call).then(async (response) => {
      const isRefused = await isTokenRefused(request, response, token, call);
      return { response, renewal: isRefused ? joinRenewal(state, finished) : undefined };
    });
    if (isDoubtful(token)) startTrial(state, outcome);
    const { response, renewal } = await outcome;
    if (!renewal) return response;
    const renewed = await unlessAborted(call.signal, renewal);
    if (renewed) return sendAgain(copy, renewed);
    signOut(token);
    return response;
  };
}

/** Return the renewal that began or was running since `finished` had ended. */
const getRunning = (
  { renewal }: Renewal,
  finished: Promise<Token> | undefined,
): Promise<Token> | undefined => (renewal === finished ? undefined : renewal);

async function requestToken(getToken: GetToken, options?: { skipCache: boolean }): Promise<Token> {
  const unlimited = new AbortController().signal;
  const late = () => new Error(`getToken took longer than ${TOKEN_MS / 1000} s.`);
  try {
    return (await within(unlimited, TOKEN_MS, late, false, () => getToken(options))) || null;
  } catch (cause) {
    throw new TokenUnavailable("Clerk gave no token: its getToken failed or took too long.", { cause });
  }
}

function withToken(request: Request, token: Token, userId: string | undefined): Request {
  if (token && userId !== undefined && !isTokenOf(userId, token)) throw new AccountChanged();
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

/** Return whether another token may help, which is not so after `user_deleted` or `session_pending`. */
async function isTokenRefused(
  request: Request,
  response: Response,
  token: Token,
  call: Call,
): Promise<boolean> {
  if (response.status !== 401) return false;
  const { code } = await readError(request, response, call);
  return token ? code.startsWith("token_") : code === "not_authenticated";
}

/** Return the error of a response that is read again afterwards. */
async function readError(request: Request, response: Response, { isJson }: Call): Promise<ApiError> {
  const readable = isJson ? response : response.clone();
  const body: unknown = await readable
    .text()
    .then(JSON.parse)
    .catch(() => null);
  return new ApiError(request, response, body);
}
