import { describe, expect, it } from "vitest";
import { createApiClient, createUserEndpoints } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, EXPIRED, rejectionOf, type TokenOptions } from "./servers.js";

const BUSY: Step = { status: 503 };

async function setUp(script: Step[], first?: TokenOptions) {
  const session = new ClerkSession(await createUser(), first);
  const relay = await Relay.start(...script);
  const client = createApiClient({ baseUrl: relay.url, getToken: session.getToken });
  return { session, relay, client, users: createUserEndpoints(client) };
}

describe("a read request", () => {
  it("succeeds after a 503 and then an expired token", async () => {
    const { session, relay, users } = await setUp([BUSY], EXPIRED);

    expect((await users.me()).email).toBe(`${session.user}@example.test`);

    expect(relay.seen).toHaveLength(3);
    expect(session.renewals).toBe(1);
  });

  it("succeeds after an expired token and then a 503, with the new token", async () => {
    const { session, relay, users } = await setUp(["pass", BUSY], EXPIRED);

    await users.me();

    const [, second, third] = relay.seen;
    expect(third?.token).toBe(second?.token);
    expect(session.renewals).toBe(1);
  });

  it.each([408, 429, 500, 502, 503, 504, 599])("is sent again after a %i", async (status) => {
    const { relay, users } = await setUp([{ status }]);

    await users.me();

    expect(relay.seen).toHaveLength(2);
  });

  it("is sent again when the connection is reset", async () => {
    const { relay, users } = await setUp(["reset", "reset"]);

    await users.me();

    expect(relay.seen).toHaveLength(3);
  });

  it("waits longer before each retry, with jitter", async () => {
    const { getToken } = new ClerkSession(await createUser());
    const gaps = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const relay = await Relay.start(BUSY, BUSY, BUSY);
        await createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken })).me();
        return relay.gaps;
      }),
    );

    const mean = (turn: number) => gaps.reduce((sum, gap) => sum + (gap[turn] ?? 0), 0) / gaps.length;
    expect(mean(2)).toBeGreaterThan(mean(0)); // 600 ms on average, and 150 ms
    expect(mean(2)).toBeLessThan(1200);
    expect(new Set(gaps.map((gap) => Math.round((gap[2] ?? 0) / 20))).size).toBeGreaterThan(8);
  });

  it("fails after four requests with the last error of the API", async () => {
    const body = JSON.stringify({
      type: "server_error",
      errors: [{ code: "keys_unavailable", detail: "No verification key can be had now.", attr: null }],
    });
    const last: Step = { status: 503, headers: { "X-Request-ID": "the-last-one" }, body };
    const { relay, users } = await setUp([BUSY, BUSY, BUSY, last]);

    expect(await rejectionOf(users.me())).toMatchObject({
      name: "ApiError",
      status: 503,
      code: "keys_unavailable",
      message: "No verification key can be had now.",
      requestId: "the-last-one",
    });
    expect(relay.seen).toHaveLength(4);
  });

  it("fails with the TypeError of fetch when every connection is reset", async () => {
    const { relay, users } = await setUp(["reset", "reset", "reset", "reset"]);

    expect(await rejectionOf(users.me())).toBeInstanceOf(TypeError);

    expect(relay.seen).toHaveLength(4);
  });

  it("fails with the code http_502 when a proxy answers 502 in HTML", async () => {
    const page: Step = {
      status: 502,
      headers: { "Content-Type": "text/html" },
      body: "<h1>Bad Gateway</h1>",
    };
    const { users } = await setUp([page, page, page, page]);

    expect(await rejectionOf(users.me())).toMatchObject({
      status: 502,
      code: "http_502",
      message: "Something between here and the API answered 502.",
      requestId: null,
    });
  });

  it.each([400, 404, 405, 406, 409, 410, 422, 451])("is not sent again after a %i", async (status) => {
    const { relay, users } = await setUp([{ status }]);

    expect(await rejectionOf(users.me())).toMatchObject({ status });

    expect(relay.seen).toHaveLength(1);
  });
});

describe("a write request", () => {
  it.each<Step>([BUSY, { status: 429, headers: { "Retry-After": "0" } }, "reset"])(
    "is not sent again after %j",
    async (step) => {
      const { relay, client } = await setUp([step]);

      await rejectionOf(client.post({ url: "/api/test/echo", body: { once: true }, throwOnError: true }));

      expect(relay.seen).toHaveLength(1);
    },
  );

  it("is sent again when its token had expired, because the API refused it", async () => {
    const { relay, client } = await setUp([], EXPIRED);

    const { data } = await client.post({ url: "/api/test/echo", body: { once: true }, throwOnError: true });

    expect(data).toEqual({ received: { once: true } });
    expect(relay.seen).toHaveLength(2);
  });
});
