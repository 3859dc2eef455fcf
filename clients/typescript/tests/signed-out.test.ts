import { describe, expect, it, vi } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { EXPIRED, failure, mint, newcomer, until } from "./world.js";

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
  it("is no sign-out: the token that comes a moment later is used", async () => {
    const who = await newcomer();
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(null, await mint(who)));

    expect((await users.me()).email).toBe(`${who}@example.test`);

    expect(getToken).toHaveBeenCalledTimes(2);
    expect(relay.gaps[0]).toBeGreaterThan(240);
    expect(relay.gaps[0]).toBeLessThan(5000);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is no sign-out for calls that start together, and they share the second question", async () => {
    const who = await newcomer();
    const token = await mint(who);
    const { users, getToken, onSignedOut } = await clientOf(resultsOf(null, null, null, token));

    const answers = await Promise.all([users.me(), users.me(), users.me()]);

    expect(answers.map(({ email }) => email)).toEqual(Array(3).fill(`${who}@example.test`));
    expect(getToken).toHaveBeenCalledTimes(4);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it.each([
    ["getToken()", 1],
    ["a renewal", 2],
  ])("from %s is no sign-out for a refused token", async (_, nullAt) => {
    const who = await newcomer();
    const [expired, good] = [await mint(who, EXPIRED), await mint(who)];
    const results: Result[] = [expired, ...Array(nullAt - 1).fill(expired), null, good];
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(...results));

    expect((await users.me()).email).toBe(`${who}@example.test`);

    expect(relay.seen).toHaveLength(2);
    expect(getToken).toHaveBeenCalledTimes(nullAt + 2);
    expect(getToken).toHaveBeenLastCalledWith({ skipCache: true });
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("asks nothing and waits for nothing where the API needs no token", async () => {
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

    expect(await failure(users.me())).toMatchObject({ status: 401, code: "not_authenticated" });

    expect(getToken).toHaveBeenCalledTimes(2);
    expect(relay.seen.map(({ token }) => token)).toEqual([undefined]);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls onSignedOut once for calls that start together", async () => {
    const { users, onSignedOut } = await clientOf(resultsOf(null));

    const errors = await Promise.all([users.me(), users.session(), users.me()].map(failure));

    for (const error of errors) expect(error).toMatchObject({ code: "not_authenticated" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls it once for calls that start one after another", async () => {
    const { users, onSignedOut } = await clientOf(resultsOf(null));

    await failure(users.me());
    await failure(users.session());
    await Promise.all([users.me(), users.me()].map(failure));

    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("calls it again after a token was there", async () => {
    const token = await mint(await newcomer());
    const { users, onSignedOut } = await clientOf(resultsOf(null, null, null, null, token, null, null, null));

    await failure(users.me());
    await failure(users.me());
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    await users.me();
    await failure(users.me());
    await failure(users.me());

    expect(onSignedOut).toHaveBeenCalledTimes(2);
  });

  it("calls it once for tokens that were refused apart from each other", async () => {
    const who = await newcomer();
    const [one, two] = [await mint(who, EXPIRED), await mint(who, EXPIRED)];
    const held: Result[] = [one, two];
    const { users, relay, onSignedOut } = await clientOf(async () => held.shift() ?? null);

    const errors = await Promise.all([users.me(), users.me()].map(failure));

    for (const error of errors) expect(error).toMatchObject({ code: "token_expired" });
    expect(relay.seen).toHaveLength(2);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("is not called again for a refused token that Clerk goes on returning", async () => {
    const expired = await mint(await newcomer(), EXPIRED);
    const { users, onSignedOut } = await clientOf(resultsOf(expired));

    expect(await failure(users.me())).toMatchObject({ code: "token_expired" });
    expect(await failure(users.me())).toMatchObject({ code: "token_expired" });

    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });
});

describe("a second question", () => {
  it("that fails is no sign-out, and the next call works", async () => {
    const who = await newcomer();
    const token = await mint(who);
    let asked = 0;
    const { users, onSignedOut } = await clientOf(() => {
      asked += 1;
      if (asked === 2) throw new Error("Clerk cannot be reached.");
      return Promise.resolve(asked === 1 ? null : token);
    });

    expect(await failure(users.me())).toMatchObject({ name: "TokenUnavailable", cause: expect.any(Error) });
    expect((await users.me()).email).toBe(`${who}@example.test`);

    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is not waited for by a call that is aborted, which signs nobody out", async () => {
    const { users, relay, getToken, onSignedOut } = await clientOf(resultsOf(null));
    const stop = new AbortController();
    const reason = new Error("The page was left.");

    const call = failure(users.me({ signal: stop.signal }));
    await until(() => relay.seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const began = performance.now();
    stop.abort(reason);

    expect(await call).toBe(reason);
    expect(performance.now() - began).toBeLessThan(100);
    await until(() => getToken.mock.calls.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("goes on for the other of two calls when one is aborted", async () => {
    const who = await newcomer();
    const { users, relay, onSignedOut } = await clientOf(resultsOf(null, null, await mint(who)));
    const stop = new AbortController();

    const stopped = failure(users.me({ signal: stop.signal }));
    const other = users.me();
    await until(() => relay.seen.length === 2);
    stop.abort();

    expect(await stopped).toMatchObject({ name: "AbortError" });
    expect((await other).email).toBe(`${who}@example.test`);
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
