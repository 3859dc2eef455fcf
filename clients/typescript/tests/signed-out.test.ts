import { describe, expect, it, vi } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { API, createUser, EXPIRED, mintToken, rejectionOf, waitUntil } from "./servers.js";

type Result = string | null | undefined;

/** A getToken that returns these results in turn, and the last one from then on. */
function resultsOf(...results: Result[]): GetToken {
  return async () => (results.length > 1 ? results.shift() : results[0]) as string | null;
}

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const calls = vi.fn(getToken);
  const onSignedOut = vi.fn();
  const client = createApiClient({ baseUrl: relay.url, getToken: calls, onSignedOut });
  return { relay, getToken: calls, onSignedOut, client, users: createUserEndpoints(client) };
}

describe("one null from getToken", () => {
  it("is no sign-out: the request is sent again with the token of the second attempt", async () => {
    const user = await createUser();
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(null, await mintToken(user)));

    expect((await users.me()).email).toBe(`${user}@example.test`);

    expect(getToken).toHaveBeenCalledTimes(2);
    expect(relay.gaps[0]).toBeGreaterThan(240);
    expect(relay.gaps[0]).toBeLessThan(5000);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is no sign-out for concurrent calls, which share the second attempt", async () => {
    const user = await createUser();
    const token = await mintToken(user);
    const { users, getToken, onSignedOut } = await clientOf(resultsOf(null, null, null, token));

    const answers = await Promise.all([users.me(), users.me(), users.me()]);

    expect(answers.map(({ email }) => email)).toEqual(Array(3).fill(`${user}@example.test`));
    expect(getToken).toHaveBeenCalledTimes(4);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it.each([
    ["getToken()", 1],
    ["a renewal", 2],
  ])("from %s is no sign-out for a refused token", async (_, nullAt) => {
    const user = await createUser();
    const [expired, good] = [await mintToken(user, EXPIRED), await mintToken(user)];
    const results: Result[] = [expired, ...Array(nullAt - 1).fill(expired), null, good];
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(...results));

    expect((await users.me()).email).toBe(`${user}@example.test`);

    expect(relay.seen).toHaveLength(2);
    expect(getToken).toHaveBeenCalledTimes(nullAt + 2);
    expect(getToken).toHaveBeenLastCalledWith({ skipCache: true });
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("delays no call that the API accepts without a token", async () => {
    const answer: Step = {
      status: 200,
      headers: { "Content-Type": "application/json" },
      body: '{"open": true}',
    };
    const { client, getToken, onSignedOut } = await clientOf(resultsOf(null), answer);

    const { data } = await client.get({ url: "/api/open", throwOnError: true });

    expect(data).toEqual({ open: true });
    expect(getToken).toHaveBeenCalledTimes(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});

describe("no token twice", () => {
  it.each<[string, Result]>([
    ["null", null],
    ["an empty string", ""],
    ["undefined", undefined],
  ])("(%s) is a sign-out, and the call rejects with the API's answer", async (_, nothing) => {
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(nothing));

    expect(await rejectionOf(users.me())).toMatchObject({ status: 401, code: "not_authenticated" });

    expect(getToken).toHaveBeenCalledTimes(2);
    expect(relay.seen.map(({ token }) => token)).toEqual([undefined]);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls onSignedOut once for concurrent calls", async () => {
    const { users, onSignedOut } = await clientOf(resultsOf(null));

    const errors = await Promise.all([users.me(), users.session(), users.me()].map(rejectionOf));

    for (const error of errors) expect(error).toMatchObject({ code: "not_authenticated" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls onSignedOut once for consecutive calls", async () => {
    const { users, onSignedOut } = await clientOf(resultsOf(null));

    await rejectionOf(users.me());
    await rejectionOf(users.session());
    await Promise.all([users.me(), users.me()].map(rejectionOf));

    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls onSignedOut again after there was a token", async () => {
    const token = await mintToken(await createUser());
    const { users, onSignedOut } = await clientOf(resultsOf(null, null, null, null, token, null, null, null));

    await rejectionOf(users.me());
    await rejectionOf(users.me());
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    await users.me();
    await rejectionOf(users.me());
    await rejectionOf(users.me());

    expect(onSignedOut).toHaveBeenCalledTimes(2);
  });

  it("calls onSignedOut once for two refused tokens", async () => {
    const user = await createUser();
    const [one, two] = [await mintToken(user, EXPIRED), await mintToken(user, EXPIRED)];
    const held: Result[] = [one, two];
    const { users, relay, onSignedOut } = await clientOf(async () => held.shift() ?? null);

    const errors = await Promise.all([users.me(), users.me()].map(rejectionOf));

    for (const error of errors) expect(error).toMatchObject({ code: "token_expired" });
    expect(relay.seen).toHaveLength(2);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls onSignedOut once for a refused token that Clerk keeps returning", async () => {
    const expired = await mintToken(await createUser(), EXPIRED);
    const { users, onSignedOut } = await clientOf(resultsOf(expired));

    expect(await rejectionOf(users.me())).toMatchObject({ code: "token_expired" });
    expect(await rejectionOf(users.me())).toMatchObject({ code: "token_expired" });

    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });
});

describe("a refusal that arrives late", () => {
  /** Send two calls of one user. Hold the second refusal until the sign-out was reported and `signIn` has run. */
  async function lateRefusal(signIn: () => Promise<string>) {
    const user = await createUser();
    const expired = await mintToken(user, EXPIRED);
    let held: string | null = expired;
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let sent = 0;
    const onSignedOut = vi.fn();
    const client = createApiClient({
      baseUrl: API,
      getToken: async (options) => {
        if (options?.skipCache) held = null;
        return held;
      },
      fetch: async (request) => {
        sent += 1;
        const isHeld = sent === 2;
        const response = await fetch(request);
        if (isHeld) await gate;
        return response;
      },
      onSignedOut,
    });
    const users = createUserEndpoints(client);
    const [early, late] = [rejectionOf(users.me()), rejectionOf(users.me())];
    expect(await early).toMatchObject({ code: "token_expired" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    held = await signIn();
    await users.me();
    open();
    return { late: await late, onSignedOut, sent: () => sent };
  }

  it("does not sign out the user who has signed in since", async () => {
    const { late, onSignedOut, sent } = await lateRefusal(async () => mintToken(await createUser()));

    expect(late).toMatchObject({ name: "AccountChanged" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    expect(sent()).toBe(3);
  });
});

describe("the second attempt to get a token", () => {
  it("may fail: that is no sign-out, and the next call succeeds", async () => {
    const user = await createUser();
    const token = await mintToken(user);
    let asks = 0;
    const { users, onSignedOut } = await clientOf(() => {
      asks += 1;
      if (asks === 2) throw new Error("Clerk cannot be reached.");
      return Promise.resolve(asks === 1 ? null : token);
    });

    expect(await rejectionOf(users.me())).toMatchObject({
      name: "TokenUnavailable",
      cause: expect.any(Error),
    });
    expect((await users.me()).email).toBe(`${user}@example.test`);

    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("does not delay the rejection of an aborted call, and is no sign-out for it", async () => {
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(null));
    const stop = new AbortController();
    const reason = new Error("The page was left.");

    const call = rejectionOf(users.me({ signal: stop.signal }));
    await waitUntil(() => relay.seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const began = performance.now();
    stop.abort(reason);

    expect(await call).toBe(reason);
    expect(performance.now() - began).toBeLessThan(100);
    await waitUntil(() => getToken.mock.calls.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("continues for one of two calls when the other is aborted", async () => {
    const user = await createUser();
    const { users, relay, onSignedOut } = await clientOf(resultsOf(null, null, await mintToken(user)));
    const stop = new AbortController();

    const stopped = rejectionOf(users.me({ signal: stop.signal }));
    const other = users.me();
    await waitUntil(() => relay.seen.length === 2);
    stop.abort();

    expect(await stopped).toMatchObject({ name: "AbortError" });
    expect((await other).email).toBe(`${user}@example.test`);
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
