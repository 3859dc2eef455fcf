import { describe, expect, it, vi } from "vitest";
import { type ApiError, createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import {
  ClerkSession,
  changeUser,
  createUser,
  EXPIRED,
  mintToken,
  rejectionOf,
  type TokenOptions,
  waitUntil,
} from "./servers.js";

/** Create a user with a browser session, and a client that reaches the API through a relay. */
async function setUp(first?: TokenOptions | null, next?: TokenOptions | null, ...script: Step[]) {
  const session = new ClerkSession(await createUser(), first, next);
  return { session, ...(await clientOf(session.getToken, ...script)) };
}

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const [onSignedOut, onUserRefused] = [vi.fn(), vi.fn<(error: ApiError) => void>()];
  const client = createApiClient({ baseUrl: relay.url, getToken, onSignedOut, onUserRefused });
  return { relay, onSignedOut, onUserRefused, client, users: createUserEndpoints(client) };
}

describe("a valid session", () => {
  it("returns the local user, created at the first request", async () => {
    const { session, users } = await setUp();

    const me = await users.me();

    expect(me.email).toBe(`${session.user}@example.test`);
    expect((await users.me()).id).toBe(me.id);
  });

  it("sends each request with the current token of Clerk", async () => {
    const { session, users, relay } = await setUp();

    await users.me();
    session.refresh();
    await users.me();

    const [one, two] = relay.seen.map(({ token }) => token);
    expect(two).toBe(`Bearer ${await session.getToken()}`);
    expect(one).not.toBe(two);
  });

  it("accepts a token within the leeway, without a second request", async () => {
    const { session, users, relay } = await setUp({ expires: -2 });

    await users.me();

    expect(relay.seen).toHaveLength(1);
    expect(session.renewals).toBe(0);
  });
});

describe("a refused token", () => {
  it("that has expired is renewed, and the call succeeds", async () => {
    const { session, users, relay, onSignedOut } = await setUp(EXPIRED);

    expect((await users.me()).email).toBe(`${session.user}@example.test`);

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("that is not active yet is renewed", async () => {
    const { session, users } = await setUp({ fault: "not_yet" });

    await users.me();

    expect(session.renewals).toBe(1);
  });

  it("is renewed once for five concurrent calls", async () => {
    const { session, users, relay } = await setUp(EXPIRED);

    await Promise.all([users.me(), users.session(), users.me(), users.session(), users.me()]);

    expect(session.renewals).toBe(1);
    expect(relay.seen).toHaveLength(6); // one call tries the expired token
  });

  it("that is refused for another reason is renewed once for five concurrent calls", async () => {
    const { session, users, relay } = await setUp({ fault: "not_yet" });

    await Promise.all([users.me(), users.session(), users.me(), users.session(), users.me()]);

    expect(session.renewals).toBe(1);
    expect(relay.seen).toHaveLength(10);
  });

  it("is tried by one of 30 concurrent calls", async () => {
    const { session, users, relay } = await setUp(EXPIRED);

    await Promise.all(Array.from({ length: 30 }, () => users.me()));

    expect(session.renewals).toBe(1);
    expect(relay.seen).toHaveLength(31);
  });

  it("holds no call back for longer than a second", async () => {
    const { users, relay } = await setUp(EXPIRED, {}, "slow", "slow");

    const began = performance.now();
    await Promise.all([users.me(), users.me()]);

    expect(relay.gaps[0]).toBeGreaterThan(900);
    expect(performance.now() - began).toBeLessThan(4000);
  });

  it("holds no call back after the trial was aborted", async () => {
    const { users, relay } = await setUp(EXPIRED, {}, "hang");
    const stop = new AbortController();

    const trial = rejectionOf(users.me({ signal: stop.signal }));
    await waitUntil(() => relay.seen.length === 1);
    const other = users.me();
    stop.abort();

    expect(await trial).toMatchObject({ name: "AbortError" });
    await other;
    expect(relay.gaps[0]).toBeLessThan(900);
  });

  it("by a wrong clock only holds calls back once", async () => {
    const session = new ClerkSession(await createUser());
    const { users, relay } = await clientOf(session.getToken);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3_600_000);
    await Promise.all([users.me({ budget: 1e9 }), users.me({ budget: 1e9 })]);

    const together = [0, 1, 2].map(() => users.me({ budget: 1e9 }));
    await Promise.all(together);

    expect(session.renewals).toBe(0);
    expect(relay.seen).toHaveLength(5);
    expect(Math.max(...relay.gaps.slice(2))).toBeLessThan(200);
  });

  describe("while it is renewed", () => {
    /** Start one call, and return its renewal, which ends when `open` is called. */
    async function renewing(next: TokenOptions | null = {}) {
      const session = new ClerkSession(await createUser(), EXPIRED, next);
      const old = session.getToken();
      let open = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const context = await clientOf((options) =>
        options?.skipCache ? session.getToken(options).finally(() => gate) : old,
      );
      const early = context.users.me();
      await waitUntil(() => session.renewals === 1);
      return { session, early, open, ...context };
    }

    it("holds back the calls that start, which are sent once with the new token", async () => {
      const { session, users, client, relay, early, open } = await renewing();

      const late = Array.from({ length: 28 }, () => users.me());
      const write = client.post({ url: "/api/test/echo", body: { late: true }, throwOnError: true });
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(relay.seen).toHaveLength(1);
      open();
      await Promise.all([early, write, ...late]);

      expect(relay.seen).toHaveLength(31);
      expect(session.renewals).toBe(1);
    });

    it("lets a call that starts be aborted", async () => {
      const { users, relay, early, open } = await renewing();
      const reason = new Error("The page was left.");
      const stop = new AbortController();

      const late = rejectionOf(users.me({ signal: stop.signal }));
      stop.abort(reason);
      expect(await late).toBe(reason);
      open();
      await early;

      expect(relay.seen).toHaveLength(2);
    });

    it("signs out once if there is no new token, and each call rejects with the API's answer", async () => {
      const { session, users, relay, onSignedOut, early, open } = await renewing(null);

      const late = [users.me(), users.session()].map(rejectionOf);
      open();

      for (const error of await Promise.all([rejectionOf(early), ...late])) {
        expect(error).toMatchObject({ code: "token_expired" });
      }
      expect(relay.seen).toHaveLength(3);
      expect(session.renewals).toBe(2); // the second attempt of the one renewal
      expect(onSignedOut).toHaveBeenCalledTimes(1);
    });
  });

  it("is renewed again for a later call if Clerk still returns the old token", async () => {
    const session = new ClerkSession(await createUser(), EXPIRED);
    const old = session.getToken();
    const { users } = await clientOf((options) => (options?.skipCache ? session.getToken(options) : old));

    await users.me();
    await users.me();

    expect(session.renewals).toBe(2);
  });

  it("is renewed independently of an older token's renewal", async () => {
    const user = await createUser();
    const [old, newer, good] = await Promise.all([
      mintToken(user, EXPIRED),
      mintToken(user, EXPIRED),
      mintToken(user),
    ]);
    let held = old;
    let renewals = 0;
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { users } = await clientOf(async (options) => {
      if (!options?.skipCache) return held;
      renewals += 1;
      if (renewals > 1) return good;
      await gate;
      return newer;
    });

    const early = rejectionOf(users.me());
    await waitUntil(() => renewals === 1);
    held = newer;
    expect((await users.me()).email).toBe(`${user}@example.test`);
    open();

    expect(await early).toMatchObject({ code: "token_expired" });
    expect(renewals).toBe(2);
  });

  it("is replaced by a newer token that Clerk has already, without a renewal", async () => {
    const session = new ClerkSession(await createUser(), EXPIRED);
    const { users, relay } = await clientOf((options) => {
      const token = session.getToken(options);
      session.refresh();
      return token;
    });

    await users.me();

    expect(session.renewals).toBe(0);
    expect(relay.seen).toHaveLength(2);
  });

  it("whose replacement is refused too costs two requests and is no sign-out", async () => {
    const { session, users, relay, onSignedOut } = await setUp(EXPIRED, EXPIRED);

    expect(await rejectionOf(users.me())).toMatchObject({
      name: "ApiError",
      status: 401,
      code: "token_expired",
    });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is a sign-out if Clerk returns the same token again", async () => {
    const same = new ClerkSession(await createUser(), EXPIRED).getToken();
    const { users, relay, onSignedOut } = await clientOf(() => same);

    expect(await rejectionOf(users.me())).toMatchObject({ status: 401, code: "token_expired" });

    expect(relay.seen).toHaveLength(1);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("is a sign-out if Clerk returns no token, once for all calls", async () => {
    const { users, relay, onSignedOut } = await setUp(EXPIRED, null);

    await Promise.all([users.me(), users.session(), users.me()].map(rejectionOf));

    expect(relay.seen).toHaveLength(3);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("does not change the body, which is sent again completely", async () => {
    const { client, relay } = await setUp(EXPIRED);
    const body = { note: "Zoë wrote 𝛑 ≈ 3", list: [1, null, { deep: true }] };

    const { data } = await client.post({ url: "/api/test/echo", body, throwOnError: true });

    expect(data).toEqual({ received: body });
    expect(relay.seen.map((request) => request.body)).toEqual([JSON.stringify(body), JSON.stringify(body)]);
  });

  it("is not renewed if the 401 is a proxy's and not the API's", async () => {
    const { session, users, onSignedOut } = await setUp({}, {}, { status: 401, body: "<h1>Login</h1>" });

    expect(await rejectionOf(users.me())).toMatchObject({ status: 401, code: "http_401" });

    expect(session.renewals).toBe(0);
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});

describe("a user who is signed out", () => {
  it("is reported to onSignedOut once for all calls", async () => {
    const { session, users, onSignedOut } = await setUp(null, null);

    const errors = await Promise.all([users.me(), users.session(), users.me()].map(rejectionOf));

    expect(errors[0]).toMatchObject({ status: 401, code: "not_authenticated" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    expect(session.renewals).toBe(0);
  });
});

describe("a refusal that a new token would not change", () => {
  it("is final for a deleted user", async () => {
    const { session, users, relay, onSignedOut } = await setUp();
    await users.me();
    await changeUser(session.user, "delete");

    expect(await rejectionOf(users.me())).toMatchObject({ status: 401, code: "user_deleted" });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(0);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is final for a pending session", async () => {
    const { session, users, relay } = await setUp({ fault: "pending" });

    expect(await rejectionOf(users.me())).toMatchObject({ status: 401, code: "session_pending" });

    expect(relay.seen).toHaveLength(1);
    expect(session.renewals).toBe(0);
  });

  it("is final for a banned user", async () => {
    const { session, users, relay } = await setUp();
    await users.me();
    await changeUser(session.user, "update", { banned: true });

    expect(await rejectionOf(users.me())).toMatchObject({ status: 403, code: "user_inactive" });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(0);
  });

  it("is final for a list that only staff may read", async () => {
    const { users, relay } = await setUp();

    expect(await rejectionOf(users.list())).toMatchObject({ status: 403, code: "permission_denied" });

    expect(relay.seen).toHaveLength(1);
  });
});

describe("onUserRefused", () => {
  it("is called once for all calls of a deleted user, and never as a sign-out", async () => {
    const { session, users, onSignedOut, onUserRefused } = await setUp();
    await users.me();
    await changeUser(session.user, "delete");

    await Promise.all([users.me(), users.session(), users.me()].map(rejectionOf));
    await rejectionOf(users.me());

    expect(onUserRefused.mock.calls).toMatchObject([[{ status: 401, code: "user_deleted" }]]);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is called for a banned user, also after a renewal, and again for a new token", async () => {
    const { session, users, onUserRefused } = await setUp();
    await users.me();
    await changeUser(session.user, "update", { banned: true });
    const late = new ClerkSession(session.user, EXPIRED);
    const other = await clientOf(late.getToken);

    await rejectionOf(users.me());
    session.refresh();
    await rejectionOf(users.me());
    await rejectionOf(other.users.me());

    expect(onUserRefused.mock.calls.map(([{ code }]) => code)).toEqual(["user_inactive", "user_inactive"]);
    expect(other.onUserRefused.mock.calls).toMatchObject([[{ status: 403, code: "user_inactive" }]]);
  });

  it("is not called for a permission that the user lacks, nor for a refused token", async () => {
    const { users, onUserRefused } = await setUp(EXPIRED);

    await rejectionOf(users.list());

    expect(onUserRefused).not.toHaveBeenCalled();
  });
});

describe("a getToken", () => {
  it("that fails is no sign-out, and the next call succeeds", async () => {
    const session = new ClerkSession(await createUser(), EXPIRED);
    let outages = 1;
    const { users, onSignedOut } = await clientOf(async (options) => {
      if (options?.skipCache && outages-- > 0) throw new Error("Clerk cannot be reached.");
      return session.getToken(options);
    });

    expect(await rejectionOf(users.me())).toMatchObject({
      name: "TokenUnavailable",
      cause: expect.any(Error),
    });
    await users.me();

    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
