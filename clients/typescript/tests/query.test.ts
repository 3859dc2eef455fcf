import { QueryClient, QueryObserver } from "@tanstack/query-core";
import { expect, it } from "vitest";
import { checkedClient } from "../src/client.js";
import { ApiShapeError, createApiClient, createUserEndpoints, type PaginatedUserList } from "../src/index.js";
import { retry, userQueries } from "../src/query.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, mintToken, rejectionOf, STAFF, waitUntil } from "./servers.js";

async function queriesOf(user: string, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const { getToken } = new ClerkSession(user);
  const client = createApiClient({ baseUrl: relay.url, getToken });
  // The default in a browser. Without a window the default is no retry.
  const cache = new QueryClient({ defaultOptions: { queries: { retry: 3 } } });
  return { relay, cache, queries: userQueries(createUserEndpoints(client)) };
}

it("a query returns the user, with one request for two observers", async () => {
  const user = await createUser();
  const { relay, cache, queries } = await queriesOf(user);

  const [me] = await Promise.all([cache.fetchQuery(queries.me()), cache.fetchQuery(queries.me())]);

  expect(me.email).toBe(`${user}@example.test`);
  expect(relay.seen).toHaveLength(1);
});

it("different queries have different cache entries", async () => {
  const { cache, queries } = await queriesOf(STAFF);
  const [none, all] = [queries.list({ search: "no user has this name" }), queries.list()];

  const me = await cache.fetchQuery(queries.me());
  const session = await cache.fetchQuery(queries.session());
  const one = await cache.fetchQuery(queries.get(me.id));
  await cache.fetchQuery(none);
  await cache.fetchQuery(all);

  expect([one.id, session.user_id]).toEqual([me.id, me.clerk_id]);
  expect(cache.getQueryData<PaginatedUserList>(none.queryKey)?.count).toBe(0);
  expect(cache.getQueryData<PaginatedUserList>(all.queryKey)?.count).toBeGreaterThan(0);
});

it("a query adds no retries to those of the client", async () => {
  const busy: Step = { status: 503 };
  const { relay, cache, queries } = await queriesOf(await createUser(), busy, busy, busy, busy);
  const observer = new QueryObserver(cache, queries.me());

  const stop = observer.subscribe(() => {});
  await waitUntil(() => observer.getCurrentResult().isError);
  stop();

  expect(observer.getCurrentResult().error).toMatchObject({ status: 503 });
  expect(relay.seen).toHaveLength(4);
});

it("a query without observers aborts its request", async () => {
  const { relay, cache, queries } = await queriesOf(await createUser(), "hang");

  const unsubscribe = new QueryObserver(cache, queries.me()).subscribe(() => {});
  await waitUntil(() => relay.seen.length === 1);
  unsubscribe();

  await waitUntil(() => relay.seen[0]?.abandoned === true);
});

it("retry applies the rules of the client to queries over checkedClient", async () => {
  const [relay, token] = [
    await Relay.start({ status: 503 }, "reset", { status: 404 }),
    await mintToken(await createUser()),
  ];
  const client = checkedClient(relay.url, (request) => {
    request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request);
  });
  const { me } = userQueries(createUserEndpoints(client));

  const error = await rejectionOf(new QueryClient().fetchQuery({ ...me(), retry, retryDelay: 1 }));

  expect(error).toMatchObject({ status: 404 });
  expect(relay.seen).toHaveLength(3);
});

it("retry allows three retries, and none after a lasting error", () => {
  const [lost, shape] = [new TypeError("fetch failed"), Object.create(ApiShapeError.prototype)];

  expect([0, 1, 2, 3].map((failures) => retry(failures, lost))).toEqual([true, true, true, false]);
  expect(retry(0, shape)).toBe(false);
  expect(retry(0, new DOMException("stopped", "AbortError"))).toBe(false);
});
