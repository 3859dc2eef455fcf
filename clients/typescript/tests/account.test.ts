import { describe, expect, it, vi } from "vitest";
import {
  AccountChanged,
  createApiClient,
  createServerApiClient,
  createUserEndpoints,
  type GetToken,
  isTransient,
} from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { createUser, EXPIRED, mintToken, rejectionOf, waitUntil } from "./servers.js";

type Answers = Record<"held" | "renewed", string | null>;
const BUSY: Step = { status: 503 };
const EXPIRED_ANSWER: Step = {
  status: 401,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    type: "client_error",
    errors: [{ code: "token_expired", detail: "The token has expired.", attr: null }],
  }),
};

/** A client whose getToken returns one token until it is asked to skip the cache, and then another. */
async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const onSignedOut = vi.fn();
  const client = createApiClient({ baseUrl: relay.url, getToken, onSignedOut });
  return { relay, onSignedOut, client, users: createUserEndpoints(client) };
}

function tokensOf({ held, renewed }: Answers): GetToken {
  return async (options) => (options?.skipCache ? renewed : held);
}

/** A getToken that returns these results in turn, and the last one from then on. */
function inTurn(...results: (string | null)[]): GetToken {
  return async () => (results.length > 1 ? results.shift() : results[0]) ?? null;
}

async function twoUsers() {
  const [one, two] = [await createUser(), await createUser()];
  return { one, two, expired: await mintToken(one, EXPIRED), other: await mintToken(two) };
}

/** A token with this payload and a signature that nothing verifies: the client only compares. */
function unsigned(payload: unknown): string {
  const encoded = Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
  return `e30.${encoded.toString("base64url")}.c2ln`;
}

const post = (client: Awaited<ReturnType<typeof clientOf>>["client"]) =>
  client.post({ url: "/api/test/echo", body: { note: 1 }, throwOnError: true });

describe("a request whose token was refused", () => {
  it("is not sent again with the token of another user", async () => {
    const { expired, other } = await twoUsers();
    const { client, relay, onSignedOut } = await clientOf(tokensOf({ held: expired, renewed: other }));

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen.map(({ token }) => token)).toEqual([`Bearer ${expired}`]);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is not sent again as another user when it is a read", async () => {
    const { expired, other } = await twoUsers();
    const { users, relay, onSignedOut } = await clientOf(tokensOf({ held: expired, renewed: other }));

    expect(await rejectionOf(users.me())).toMatchObject({ name: "AccountChanged" });

    expect(relay.seen).toHaveLength(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is not sent again when Clerk switched the account without a renewal", async () => {
    const { expired, other } = await twoUsers();
    const getToken = vi.fn(inTurn(expired, other));
    const { client, relay } = await clientOf(getToken);

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen).toHaveLength(1);
    expect(getToken).toHaveBeenCalledTimes(2);
  });

  it("is not sent again with another session of the same user", async () => {
    const user = await createUser();
    const getToken = tokensOf({
      held: await mintToken(user, EXPIRED),
      renewed: await mintToken(user, { claims: { sid: "sess_another" } }),
    });
    const { client, relay, onSignedOut } = await clientOf(getToken);

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen).toHaveLength(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is not sent again by any of the calls that share the renewal", async () => {
    const { one, other } = await twoUsers();
    const early = await mintToken(one, { fault: "not_yet" });
    const { client, users, relay, onSignedOut } = await clientOf(tokensOf({ held: early, renewed: other }));

    const errors = await Promise.all(
      [post(client), users.me(), post(client), users.session()].map(rejectionOf),
    );

    for (const error of errors) expect(error).toBeInstanceOf(AccountChanged);
    expect(relay.seen).toHaveLength(4);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is not sent as another user by a call that waits for a running renewal", async () => {
    const { expired, other } = await twoUsers();
    let renewals = 0;
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { client, relay } = await clientOf(async (options) => {
      if (!options?.skipCache) return expired;
      renewals += 1;
      await gate;
      return other;
    });

    const early = rejectionOf(post(client));
    await waitUntil(() => renewals === 1);
    const late = rejectionOf(post(client));
    await new Promise((resolve) => setTimeout(resolve, 100));
    open();

    expect(await early).toBeInstanceOf(AccountChanged);
    expect(await late).toBeInstanceOf(AccountChanged);
    expect([renewals, relay.seen.length]).toEqual([1, 1]);
  });

  it("is sent again for the user of the new token, and not for another user", async () => {
    const { two, expired, other } = await twoUsers();
    const { users, relay } = await clientOf(inTurn(expired, await mintToken(two, EXPIRED), other));

    const [one, me] = await Promise.all([rejectionOf(users.session()), users.me()]);

    expect(one).toBeInstanceOf(AccountChanged);
    expect(me.email).toBe(`${two}@example.test`);
    expect(relay.seen.map(({ path }) => path).sort()).toEqual([
      "/api/v1/me",
      "/api/v1/me",
      "/api/v1/session",
    ]);
  });

  it("is not sent again when one user signed out and another signed in during the call", async () => {
    const { expired, other } = await twoUsers();
    const { client, relay, onSignedOut } = await clientOf(inTurn(expired, null, other));

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen).toHaveLength(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("does not stop the next call of the user who is signed in now", async () => {
    const { two, expired, other } = await twoUsers();
    let held = expired;
    const { users, onSignedOut } = await clientOf(async (options) => {
      if (options?.skipCache) held = other;
      return held;
    });

    expect(await rejectionOf(users.me())).toBeInstanceOf(AccountChanged);

    expect((await users.me()).email).toBe(`${two}@example.test`);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("rejects with an error that is not transient", async () => {
    const { expired, other } = await twoUsers();
    const { users } = await clientOf(tokensOf({ held: expired, renewed: other }));

    const error = await rejectionOf(users.me());

    expect(isTransient(error)).toBe(false);
    expect(String(error)).toMatch(/^AccountChanged: The account was switched/);
  });
});

describe("a request without a token", () => {
  it("is not sent again as a user other than the last one", async () => {
    const { one, other } = await twoUsers();
    const { client, users, relay, onSignedOut } = await clientOf(inTurn(await mintToken(one), null, other));
    await users.me();

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen.map(({ token }) => token === undefined)).toEqual([false, true]);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is sent again as the last user, and as any user after a sign-out", async () => {
    const { one, two, other } = await twoUsers();
    const good = await mintToken(one);
    const { users, onSignedOut } = await clientOf(inTurn(good, null, good, null, null, null, other));

    await users.me();
    expect((await users.me()).email).toBe(`${one}@example.test`);
    await rejectionOf(users.me());
    expect(onSignedOut).toHaveBeenCalledTimes(1);
    expect((await users.me()).email).toBe(`${two}@example.test`);
  });
});

describe("a token that cannot be read", () => {
  const good = unsigned({ sub: "user_1", sid: "sess_1" });

  it.each<[string, string]>([
    ["is no JWT", "opaque"],
    ["is not base64", "e30.%%%.c2ln"],
    ["is not JSON", unsigned("{")],
    ["holds null", unsigned("null")],
    ["holds a list", unsigned([])],
    ["has no user", unsigned({ sid: "sess_1" })],
    ["has an empty user", unsigned({ sub: "", sid: "sess_1" })],
    ["has a number for a user", unsigned({ sub: 1, sid: "sess_1" })],
    ["has no session where the other has one", unsigned({ sub: "user_1" })],
    ["has null for a session", unsigned({ sub: "user_1", sid: null })],
    ["has a list for a session", unsigned({ sub: "user_1", sid: ["sess_1"] })],
  ])("because it %s matches none, before the renewal or after it", async (_, token) => {
    for (const [held, renewed] of [
      [good, token],
      [token, good],
    ] as const) {
      const { client, relay, onSignedOut } = await clientOf(tokensOf({ held, renewed }), EXPIRED_ANSWER);

      expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

      expect(relay.seen).toHaveLength(1);
      expect(onSignedOut).not.toHaveBeenCalled();
    }
  });

  it("does not match another that cannot be read", async () => {
    const { client, relay } = await clientOf(tokensOf({ held: "one", renewed: "two" }), EXPIRED_ANSWER);

    expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);

    expect(relay.seen).toHaveLength(1);
  });
});

describe("a token of the same account is recognized", () => {
  it.each<[string, object]>([
    ["names outside of ASCII", { name: "Zoë 𝛑 ÿ?>~" }],
    ["no session at all, as from a JWT template", { sid: undefined }],
  ])("with %s", async (_, claims) => {
    const account = { sub: "user_1", sid: "sess_1", ...claims };
    const getToken = tokensOf({
      held: unsigned({ ...account, jti: "1" }),
      renewed: unsigned({ ...account, jti: "2" }),
    });
    const echoed: Step = { status: 200, body: "{}" };
    const { client, relay } = await clientOf(getToken, EXPIRED_ANSWER, echoed);

    await post(client);

    expect(relay.seen).toHaveLength(2);
  });
});

describe("a request that is sent again after a fault", () => {
  it("keeps its token when the account was switched", async () => {
    const { one, two, other } = await twoUsers();
    const { users, relay } = await clientOf(inTurn(await mintToken(one), other), BUSY, "reset");

    expect((await users.me()).email).toBe(`${one}@example.test`);

    expect(new Set(relay.seen.map(({ token }) => token)).size).toBe(1);
    expect(relay.seen).toHaveLength(3);
    expect((await users.me()).email).toBe(`${two}@example.test`);
  });

  it("is not sent as another user when its token is refused at the retry", async () => {
    const { expired, other } = await twoUsers();
    const { users, relay } = await clientOf(tokensOf({ held: expired, renewed: other }), BUSY);

    expect(await rejectionOf(users.me())).toBeInstanceOf(AccountChanged);

    expect(relay.seen.map(({ token }) => token)).toEqual([`Bearer ${expired}`, `Bearer ${expired}`]);
  });

  it("keeps its token on a server", async () => {
    const { one, other } = await twoUsers();
    const relay = await Relay.start(BUSY);
    const client = createServerApiClient({
      baseUrl: relay.url,
      getToken: inTurn(await mintToken(one), other),
    });

    expect((await createUserEndpoints(client).me()).email).toBe(`${one}@example.test`);

    expect(new Set(relay.seen.map(({ token }) => token)).size).toBe(1);
    expect(relay.seen).toHaveLength(2);
  });

  it("is not sent as another user by a server whose token was refused", async () => {
    const { expired, other } = await twoUsers();
    const relay = await Relay.start();
    const client = createServerApiClient({ baseUrl: relay.url, getToken: inTurn(expired, other) });

    expect(await rejectionOf(post(client))).toMatchObject({ code: "token_expired" });

    expect(relay.seen).toHaveLength(1);
  });
});

describe("a client of one user", () => {
  const clientFor = async (userId: string, token: string) => {
    const relay = await Relay.start();
    const [onSignedOut, getToken] = [vi.fn(), async () => token];
    const options = { baseUrl: relay.url, getToken, userId };
    return {
      relay,
      onSignedOut,
      browser: createApiClient({ ...options, onSignedOut }),
      server: createServerApiClient(options),
    };
  };

  it("sends no token of another user, and this is no sign-out", async () => {
    const { other } = await twoUsers();
    const { relay, browser, server, onSignedOut } = await clientFor("user_of_the_page", other);

    for (const client of [browser, server]) {
      expect(await rejectionOf(post(client))).toBeInstanceOf(AccountChanged);
      expect(await rejectionOf(createUserEndpoints(client).me())).toBeInstanceOf(AccountChanged);
    }

    expect(relay.seen).toHaveLength(0);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("sends the token of its user", async () => {
    const { other } = await twoUsers();
    const { sub } = JSON.parse(Buffer.from(other.split(".")[1] ?? "", "base64url").toString());
    const { browser, server } = await clientFor(sub, other);

    for (const client of [browser, server]) {
      expect((await createUserEndpoints(client).me()).clerk_id).toBe(sub);
    }
  });
});
