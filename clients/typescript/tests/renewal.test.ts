import { describe, expect, it, vi } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, change, EXPIRED, failure, mint, newcomer, type TokenOptions, until } from "./world.js";

/** A person in a browser: a session, a client over a relay, and a count of how often they were signed out. */
async function visit(first?: TokenOptions | null, next?: TokenOptions | null, ...script: Step[]) {
  const session = new ClerkSession(await newcomer(), first, next);
  return { session, ...(await clientOf(session.getToken, ...script)) };
}

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const onSignedOut = vi.fn();
  const client = createApiClient({ baseUrl: relay.url, getToken, onSignedOut });
  return { relay, onSignedOut, client, users: createUserEndpoints(client) };
}

describe("a session in good order", () => {
  it("gets the local user, made on the first request", async () => {
    const { session, users } = await visit();

    const me = await users.me();

    expect(me.email).toBe(`${session.who}@example.test`);
    expect((await users.me()).id).toBe(me.id);
  });

  it("sends with each request the token that Clerk has at the time", async () => {
    const { session, users, relay } = await visit();

    await users.me();
    session.refresh();
    await users.me();

    const [one, two] = relay.seen.map(({ token }) => token);
    expect(two).toBe(`Bearer ${await session.getToken()}`);
    expect(one).not.toBe(two);
  });

  it("lives with a clock that is a little off, without another request", async () => {
    const { session, users, relay } = await visit({ expires: -2 });

    await users.me();

    expect(relay.seen).toHaveLength(1);
    expect(session.renewals).toBe(0);
  });
});

describe("a refused token", () => {
  it("that has expired during the session is renewed, and the caller notices nothing", async () => {
    const { session, users, relay, onSignedOut } = await visit(EXPIRED);

    expect((await users.me()).email).toBe(`${session.who}@example.test`);

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("of a clock that is far ahead is renewed", async () => {
    const { session, users } = await visit({ fault: "not_yet" });

    await users.me();

    expect(session.renewals).toBe(1);
  });

  it("is renewed once for five calls at a time", async () => {
    const { session, users, relay } = await visit(EXPIRED);

    await Promise.all([users.me(), users.session(), users.me(), users.session(), users.me()]);

    expect(session.renewals).toBe(1);
    expect(relay.seen).toHaveLength(10);
  });

  it("is not renewed again for a call that left while the renewal was under way", async () => {
    const session = new ClerkSession(await newcomer(), EXPIRED);
    const old = session.getToken();
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { users, relay } = await clientOf((options) =>
      options?.skipCache ? session.getToken(options).finally(() => gate) : old,
    );

    const early = users.me();
    await until(() => session.renewals === 1);
    const late = users.me();
    await until(() => relay.seen.length === 2);
    open();
    await Promise.all([early, late]);

    expect(session.renewals).toBe(1);
  });

  it("is renewed anew for a later call, should Clerk still give the old one", async () => {
    const session = new ClerkSession(await newcomer(), EXPIRED);
    const old = session.getToken();
    const { users } = await clientOf((options) => (options?.skipCache ? session.getToken(options) : old));

    await users.me();
    await users.me();

    expect(session.renewals).toBe(2);
  });

  it("is renewed for itself while the renewal of an older one is under way", async () => {
    const who = await newcomer();
    const [old, newer, good] = await Promise.all([mint(who, EXPIRED), mint(who, EXPIRED), mint(who)]);
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

    const early = failure(users.me());
    await until(() => renewals === 1);
    held = newer;
    expect((await users.me()).email).toBe(`${who}@example.test`);
    open();

    expect(await early).toMatchObject({ code: "token_expired" });
    expect(renewals).toBe(2);
  });

  it("gives way to a newer one that Clerk has by then, without a renewal", async () => {
    const session = new ClerkSession(await newcomer(), EXPIRED);
    const { users, relay } = await clientOf((options) => {
      const token = session.getToken(options);
      session.refresh();
      return token;
    });

    await users.me();

    expect(session.renewals).toBe(0);
    expect(relay.seen).toHaveLength(2);
  });

  it("after which every other is refused too costs two requests, and signs nobody out", async () => {
    const { session, users, relay, onSignedOut } = await visit(EXPIRED, EXPIRED);

    expect(await failure(users.me())).toMatchObject({ name: "ApiError", status: 401, code: "token_expired" });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("after which Clerk gives the same again ends the session", async () => {
    const same = new ClerkSession(await newcomer(), EXPIRED).getToken();
    const { users, relay, onSignedOut } = await clientOf(() => same);

    expect(await failure(users.me())).toMatchObject({ status: 401, code: "token_expired" });

    expect(relay.seen).toHaveLength(1);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("after which Clerk gives none ends the session, once for all calls", async () => {
    const { users, relay, onSignedOut } = await visit(EXPIRED, null);

    await Promise.all([users.me(), users.session(), users.me()].map(failure));

    expect(relay.seen).toHaveLength(3);
    expect(onSignedOut).toHaveBeenCalledTimes(1);
  });

  it("takes nothing from the body, which is sent again whole", async () => {
    const { client, relay } = await visit(EXPIRED);
    const body = { note: "Zoë wrote 𝛑 ≈ 3", list: [1, null, { deep: true }] };

    const { data } = await client.post({ url: "/api/test/echo", body, throwOnError: true });

    expect(data).toEqual({ received: body });
    expect(relay.seen.map((request) => request.body)).toEqual([JSON.stringify(body), JSON.stringify(body)]);
  });

  it("of a proxy, which does not speak the language of the API, is no reason for another", async () => {
    const { session, users, onSignedOut } = await visit({}, {}, { status: 401, body: "<h1>Login</h1>" });

    expect(await failure(users.me())).toMatchObject({ status: 401, code: "http_401" });

    expect(session.renewals).toBe(0);
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});

describe("a person who is signed out", () => {
  it("is told so, once for all calls", async () => {
    const { session, users, onSignedOut } = await visit(null, null);

    const errors = await Promise.all([users.me(), users.session(), users.me()].map(failure));

    expect(errors[0]).toMatchObject({ status: 401, code: "not_authenticated" });
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    expect(session.renewals).toBe(0);
  });
});

describe("a refusal that no other token would change", () => {
  it("is final for somebody who was deleted", async () => {
    const { session, users, relay, onSignedOut } = await visit();
    await users.me();
    await change(session.who, "delete");

    expect(await failure(users.me())).toMatchObject({ status: 401, code: "user_deleted" });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(0);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is final while the session has something to do", async () => {
    const { session, users, relay } = await visit({ fault: "pending" });

    expect(await failure(users.me())).toMatchObject({ status: 401, code: "session_pending" });

    expect(relay.seen).toHaveLength(1);
    expect(session.renewals).toBe(0);
  });

  it("is final for somebody who is banned", async () => {
    const { session, users, relay } = await visit();
    await users.me();
    await change(session.who, "update", { banned: true });

    expect(await failure(users.me())).toMatchObject({ status: 403, code: "user_inactive" });

    expect(relay.seen).toHaveLength(2);
    expect(session.renewals).toBe(0);
  });

  it("is final for a list that is for staff", async () => {
    const { users, relay } = await visit();

    expect(await failure(users.list())).toMatchObject({ status: 403, code: "permission_denied" });

    expect(relay.seen).toHaveLength(1);
  });
});

describe("a getToken", () => {
  it("that fails leaves the session alone, and the next call works", async () => {
    const session = new ClerkSession(await newcomer(), EXPIRED);
    let outages = 1;
    const { users, onSignedOut } = await clientOf(async (options) => {
      if (options?.skipCache && outages-- > 0) throw new Error("Clerk cannot be reached.");
      return session.getToken(options);
    });

    expect(await failure(users.me())).toMatchObject({ name: "TokenUnavailable", cause: expect.any(Error) });
    await users.me();

    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
