import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { createApiClient, createServerApiClient, createUserEndpoints, type Patience } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { createUser, EXPIRED, mintToken, rejectionOf, waitUntil } from "./servers.js";

const BUSY: Step = { status: 503 };

async function serverOf(patience: Patience, ...script: Step[]) {
  const [relay, token] = [await Relay.start(...script), await mintToken(await createUser())];
  const client = createServerApiClient({ baseUrl: relay.url, getToken: async () => token, ...patience });
  return { relay, client, users: createUserEndpoints(client) };
}

async function browserOf(patience: Patience, ...script: Step[]) {
  const [relay, token] = [await Relay.start(...script), await mintToken(await createUser())];
  const client = createApiClient({ baseUrl: relay.url, getToken: async () => token, ...patience });
  return { relay, client, users: createUserEndpoints(client) };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

/** Return how many milliseconds a call takes to reject, and with what. */
async function timed(call: () => Promise<unknown>) {
  const began = performance.now();
  return { error: await rejectionOf(call()), ms: performance.now() - began };
}

describe("on a server", () => {
  it("a read is sent twice at most, and quickly", async () => {
    const { users, relay } = await serverOf({}, BUSY, BUSY, BUSY);

    const { error, ms } = await timed(users.me);

    expect(error).toMatchObject({ status: 503 });
    expect(relay.seen).toHaveLength(2);
    expect(ms).toBeLessThan(1500);
  });

  it("a call ends after two seconds", async () => {
    const { users, relay } = await serverOf({}, "hang", "hang");

    const { error, ms } = await timed(users.me);

    expect(error).toMatchObject({
      name: "TimeoutError",
      message: "GET /api/v1/me was not answered within 2 s.",
    });
    expect(ms).toBeGreaterThan(1900);
    expect(ms).toBeLessThan(2500);
    await waitUntil(() => relay.seen[0]?.abandoned === true);
  });

  it("a call ends after two seconds also when the body hangs", async () => {
    const { users, relay } = await serverOf({}, "stall");
    setTimeout(collectGarbage, 1000);

    const { error, ms } = await timed(users.me);

    expect(error).toMatchObject({ name: "TimeoutError" });
    expect(ms).toBeLessThan(2500);
    await waitUntil(() => relay.seen[0]?.abandoned === true);
  });

  it("a call ends after two seconds also when getToken hangs", async () => {
    const relay = await Relay.start();
    const client = createServerApiClient({ baseUrl: relay.url, getToken: () => new Promise(() => {}) });

    const { error, ms } = await timed(createUserEndpoints(client).me);

    expect(error).toMatchObject({ name: "TimeoutError" });
    expect(ms).toBeLessThan(2500);
  });

  it("a wait beyond the budget is not begun", async () => {
    const { users, relay } = await serverOf({}, { status: 503, headers: { "Retry-After": "5" } });

    const { error, ms } = await timed(users.me);

    expect(error).toMatchObject({ status: 503, retryAfter: 5 });
    expect(relay.seen).toHaveLength(1);
    expect(ms).toBeLessThan(1000);
  });
});

describe("the patience of a client", () => {
  it("is its number of retries", async () => {
    const { users, relay } = await browserOf({ retries: 1 }, BUSY, BUSY, BUSY);

    expect(await rejectionOf(users.me())).toMatchObject({ status: 503 });

    expect(relay.seen).toHaveLength(2);
  });

  it("is its timeout for one attempt, after which nothing is sent again", async () => {
    const { users, relay } = await browserOf({ timeout: 300 }, "hang");

    expect(await rejectionOf(users.me())).toMatchObject({ name: "TimeoutError" });

    expect(relay.seen).toHaveLength(1);
  });

  it("is its budget for all attempts", async () => {
    const { users, relay } = await browserOf({ budget: 600 }, BUSY, "hang");

    const { error, ms } = await timed(users.me);

    expect(error).toMatchObject({ name: "TimeoutError", message: expect.stringMatching(/within 0\.6 s/) });
    expect(ms).toBeLessThan(1000);
    expect(relay.seen).toHaveLength(2);
  });

  it("covers the renewal of a token", async () => {
    const [relay, expired] = [await Relay.start(), await mintToken(await createUser(), EXPIRED)];
    const client = createApiClient({
      baseUrl: relay.url,
      budget: 500,
      getToken: (options) => (options?.skipCache ? new Promise(() => {}) : Promise.resolve(expired)),
    });

    const { error, ms } = await timed(createUserEndpoints(client).me);

    expect(error).toMatchObject({ name: "TimeoutError" });
    expect(ms).toBeLessThan(1000);
  });
});

describe("the patience of a call", () => {
  it("replaces that of the client", async () => {
    const { users, relay } = await browserOf({ retries: 0, timeout: 100 }, BUSY, BUSY);

    await users.me({ retries: 2, timeout: 5000 });

    expect(relay.seen).toHaveLength(3);
  });

  it("may have no limit", async () => {
    const { users } = await serverOf({ timeout: 300, budget: 300 }, "slow");

    const unlimited = { timeout: Number.POSITIVE_INFINITY, budget: Number.POSITIVE_INFINITY };
    expect(await users.me(unlimited)).toHaveProperty("id");
  });
});

describe("an upload", () => {
  /** A form, a file and bytes. */
  const bodies = {
    form: () => new FormData(),
    file: () => new Blob(["a file"]),
    bytes: () => new TextEncoder().encode("a file"),
  };

  it.each(Object.entries(bodies))("(%s) is not cut after the timeout and the budget", async (_, body) => {
    for (const create of [browserOf, serverOf]) {
      const { client } = await create({ timeout: 200, budget: 300 }, "slow");

      const call = client.post({
        url: "/api/test/echo",
        body: body(),
        bodySerializer: null,
        throwOnError: true,
      });

      // The API reads JSON only. That it answers at all shows that the client has waited for it.
      expect(await rejectionOf(call)).toMatchObject({ name: "ApiError" });
    }
  });

  it("has the limits that are given with the call", async () => {
    const { client } = await browserOf({}, "hang");

    const call = client.post({
      url: "/api/test/echo",
      body: bodies.file(),
      bodySerializer: null,
      timeout: 300,
      throwOnError: true,
    });

    expect(await rejectionOf(call)).toMatchObject({ name: "TimeoutError" });
  });

  it("of JSON has the limits of other calls", async () => {
    const { client } = await browserOf({ timeout: 300 }, "hang");

    const call = client.post({ url: "/api/test/echo", body: { note: 1 }, throwOnError: true });

    expect(await rejectionOf(call)).toMatchObject({ name: "TimeoutError" });
  });
});

describe("a body that the caller reads itself", () => {
  it("is not cut after the timeout, and is aborted by the caller", async () => {
    const { client, relay } = await browserOf({ timeout: 300, budget: 500 }, "stall");
    const stop = new AbortController();

    const { data } = await client.get({
      url: "/api/v1/me",
      parseAs: "stream",
      signal: stop.signal,
      throwOnError: true,
    });
    const reader = (data as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(relay.seen[0]?.abandoned).toBe(false);
    collectGarbage();
    stop.abort();

    await rejectionOf(reader.read());
    await waitUntil(() => relay.seen[0]?.abandoned === true);
  });
});
