import { expect, it } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, EXPIRED, failure, newcomer, until } from "./world.js";

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  return { relay, users: createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken })) };
}

/** A reason that nobody else would give. */
const REASON = new Error("The page has gone.");

it("stops a call before it begins", async () => {
  const session = new ClerkSession(await newcomer());
  const { relay, users } = await clientOf(session.getToken);

  expect(await failure(users.me({ signal: AbortSignal.abort(REASON) }))).toBe(REASON);

  expect(relay.seen).toHaveLength(0);
});

it("stops a call that waits for its token", async () => {
  const { relay, users } = await clientOf(() => new Promise(() => {}));
  const stop = new AbortController();

  const call = failure(users.me({ signal: stop.signal }));
  stop.abort(REASON);

  expect(await call).toBe(REASON);
  expect(relay.seen).toHaveLength(0);
});

it("stops a call that waits for its answer", async () => {
  const session = new ClerkSession(await newcomer());
  const { relay, users } = await clientOf(session.getToken, "hang");
  const stop = new AbortController();

  const call = failure(users.me({ signal: stop.signal }));
  await until(() => relay.seen.length === 1);
  stop.abort(REASON);

  expect(await call).toBe(REASON);
  await until(() => relay.seen[0]?.abandoned === true);
});

it("stops a call that waits to be sent again", async () => {
  const session = new ClerkSession(await newcomer());
  const { relay, users } = await clientOf(session.getToken, {
    status: 503,
    headers: { "Retry-After": "20" },
  });

  const began = performance.now();
  const error = await failure(users.me({ signal: AbortSignal.timeout(500) }));

  expect(error).toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - began).toBeLessThan(2000);
  expect(relay.seen).toHaveLength(1);
});

it("stops one of two calls that wait for the same renewal; the other goes on", async () => {
  const session = new ClerkSession(await newcomer(), EXPIRED);
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { relay, users } = await clientOf(async (options) => {
    const token = await session.getToken(options);
    if (options?.skipCache) await gate;
    return token;
  });
  const stop = new AbortController();

  const stopped = failure(users.me({ signal: stop.signal }));
  const other = users.me();
  await until(() => relay.seen.length === 2 && session.renewals === 1);
  stop.abort(REASON);
  expect(await stopped).toBe(REASON);
  open();

  expect((await other).email).toBe(`${session.who}@example.test`);
  expect(session.renewals).toBe(1);
  expect(relay.seen).toHaveLength(3);
});
