import { expect, it } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, rejectionOf, waitUntil } from "./servers.js";

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const relay = await Relay.start(...script);
  return { relay, users: createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken })) };
}

/** A reason that only these tests use. */
const REASON = new Error("The page was closed.");

it("rejects a call whose signal is aborted already", async () => {
  const session = new ClerkSession(await createUser());
  const { relay, users } = await clientOf(session.getToken);

  expect(await rejectionOf(users.me({ signal: AbortSignal.abort(REASON) }))).toBe(REASON);

  expect(relay.seen).toHaveLength(0);
});

it("rejects a call that waits for its token", async () => {
  const { relay, users } = await clientOf(() => new Promise(() => {}));
  const stop = new AbortController();

  const call = rejectionOf(users.me({ signal: stop.signal }));
  stop.abort(REASON);

  expect(await call).toBe(REASON);
  expect(relay.seen).toHaveLength(0);
});

it("rejects a call that waits for its response", async () => {
  const session = new ClerkSession(await createUser());
  const { relay, users } = await clientOf(session.getToken, "hang");
  const stop = new AbortController();

  const call = rejectionOf(users.me({ signal: stop.signal }));
  await waitUntil(() => relay.seen.length === 1);
  stop.abort(REASON);

  expect(await call).toBe(REASON);
  await waitUntil(() => relay.seen[0]?.abandoned === true);
});

it("rejects a call that waits for its retry", async () => {
  const session = new ClerkSession(await createUser());
  const { relay, users } = await clientOf(session.getToken, {
    status: 503,
    headers: { "Retry-After": "20" },
  });

  const began = performance.now();
  const error = await rejectionOf(users.me({ signal: AbortSignal.timeout(500) }));

  expect(error).toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - began).toBeLessThan(2000);
  expect(relay.seen).toHaveLength(1);
});

it("rejects one of two calls that wait for the same renewal, and not the other", async () => {
  const session = new ClerkSession(await createUser(), { fault: "not_yet" });
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

  const stopped = rejectionOf(users.me({ signal: stop.signal }));
  const other = users.me();
  await waitUntil(() => relay.seen.length === 2 && session.renewals === 1);
  stop.abort(REASON);
  expect(await stopped).toBe(REASON);
  open();

  expect((await other).email).toBe(`${session.user}@example.test`);
  expect(session.renewals).toBe(1);
  expect(relay.seen).toHaveLength(3);
});
