import { describe, expect, it } from "vitest";
import { createApiClient, createUserEndpoints } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, EXPIRED, failure, newcomer, type TokenOptions } from "./world.js";

const BUSY: Step = { status: 503 };

async function visit(script: Step[], first?: TokenOptions) {
  const session = new ClerkSession(await newcomer(), first);
  const relay = await Relay.start(...script);
  const client = createApiClient({ baseUrl: relay.url, getToken: session.getToken });
  return { session, relay, client, users: createUserEndpoints(client) };
}

describe("a read", () => {
  it("survives a 503 and then an expired token", async () => {
    const { session, relay, users } = await visit([BUSY], EXPIRED);

    expect((await users.me()).email).toBe(`${session.who}@example.test`);

    expect(relay.seen).toHaveLength(3);
    expect(session.renewals).toBe(1);
  });

  it("survives an expired token and then a 503, with the new token", async () => {
    const { session, relay, users } = await visit(["pass", BUSY], EXPIRED);

    await users.me();

    const [, second, third] = relay.seen;
    expect(third?.token).toBe(second?.token);
    expect(session.renewals).toBe(1);
  });

  it.each([408, 429, 500, 502, 503, 504, 599])("is sent again after a %i", async (status) => {
    const { relay, users } = await visit([{ status }]);

    await users.me();

    expect(relay.seen).toHaveLength(2);
  });

  it("is sent again when the connection breaks off", async () => {
    const { relay, users } = await visit(["reset", "reset"]);

    await users.me();

    expect(relay.seen).toHaveLength(3);
  });

  it("waits longer each time, and never in step with others", async () => {
    const { getToken } = new ClerkSession(await newcomer());
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

  it("is given up after four requests, with the words of whoever answered last", async () => {
    const body = JSON.stringify({
      type: "server_error",
      errors: [{ code: "keys_unavailable", detail: "No verification key can be had now.", attr: null }],
    });
    const last: Step = { status: 503, headers: { "X-Request-ID": "the-last-one" }, body };
    const { relay, users } = await visit([BUSY, BUSY, BUSY, last]);

    expect(await failure(users.me())).toMatchObject({
      name: "ApiError",
      status: 503,
      code: "keys_unavailable",
      message: "No verification key can be had now.",
      requestId: "the-last-one",
    });
    expect(relay.seen).toHaveLength(4);
  });

  it("is given up when nobody answers at all, with fetch's own error", async () => {
    const { relay, users } = await visit(["reset", "reset", "reset", "reset"]);

    expect(await failure(users.me())).toBeInstanceOf(TypeError);

    expect(relay.seen).toHaveLength(4);
  });

  it("is given up when a proxy answers 502 in HTML, with an error that says so", async () => {
    const page: Step = {
      status: 502,
      headers: { "Content-Type": "text/html" },
      body: "<h1>Bad Gateway</h1>",
    };
    const { users } = await visit([page, page, page, page]);

    expect(await failure(users.me())).toMatchObject({
      status: 502,
      code: "http_502",
      message: "Something between here and the API answered 502.",
      requestId: null,
    });
  });

  it.each([400, 404, 405, 406, 409, 410, 422, 451])("is not sent again after a %i", async (status) => {
    const { relay, users } = await visit([{ status }]);

    expect(await failure(users.me())).toMatchObject({ status });

    expect(relay.seen).toHaveLength(1);
  });
});

describe("a write", () => {
  it.each<Step>([BUSY, { status: 429, headers: { "Retry-After": "0" } }, "reset"])(
    "is not sent again after %j",
    async (step) => {
      const { relay, client } = await visit([step]);

      await failure(client.post({ url: "/api/test/echo", body: { once: true }, throwOnError: true }));

      expect(relay.seen).toHaveLength(1);
    },
  );

  it("whose token has expired is sent again all the same, for it did nothing", async () => {
    const { relay, client } = await visit([], EXPIRED);

    const { data } = await client.post({ url: "/api/test/echo", body: { once: true }, throwOnError: true });

    expect(data).toEqual({ received: { once: true } });
    expect(relay.seen).toHaveLength(2);
  });
});
