import { QueryClient, QueryObserver } from "@tanstack/query-core";
import { expect, it } from "vitest";
import { checkedClient } from "../src/client.js";
import { ApiShapeError, createApiClient, createUserEndpoints, type PaginatedUserList } from "../src/index.js";
import { retry, userQueries } from "../src/query.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, failure, mint, newcomer, STAFF, until } from "./world.js";

async function queriesOf(who: string, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const { getToken } = new ClerkSession(who);
  const client = createApiClient({ baseUrl: relay.url, getToken });
  // What a browser has by default; without a window the default is none.
  const cache = new QueryClient({ defaultOptions: { queries: { retry: 3 } } });
  return { relay, cache, queries: userQueries(createUserEndpoints(client)) };
}

it("a query gives the user, and asks once for two who want it", async () => {
  const who = await newcomer();
  const { relay, cache, queries } = await queriesOf(who);

  const [me] = await Promise.all([cache.fetchQuery(queries.me()), cache.fetchQuery(queries.me())]);

  expect(me.email).toBe(`${who}@example.test`);
  expect(relay.seen).toHaveLength(1);
});

it("queries that differ are kept apart", async () => {
  const { cache, queries } = await queriesOf(STAFF);
  const [nobody, all] = [queries.list({ search: "nobody has this name" }), queries.list()];

  const me = await cache.fetchQuery(queries.me());
  const session = await cache.fetchQuery(queries.session());
  const one = await cache.fetchQuery(queries.get(me.id));
  await cache.fetchQuery(nobody);
  await cache.fetchQuery(all);

  expect([one.id, session.user_id]).toEqual([me.id, me.clerk_id]);
  expect(cache.getQueryData<PaginatedUserList>(nobody.queryKey)?.count).toBe(0);
  expect(cache.getQueryData<PaginatedUserList>(all.queryKey)?.count).toBeGreaterThan(0);
});

it("a query does not repeat what the client has repeated already", async () => {
  const busy: Step = { status: 503 };
  const { relay, cache, queries } = await queriesOf(await newcomer(), busy, busy, busy, busy);
  const observer = new QueryObserver(cache, queries.me());

  const stop = observer.subscribe(() => {});
  await until(() => observer.getCurrentResult().isError);
  stop();

  expect(observer.getCurrentResult().error).toMatchObject({ status: 503 });
  expect(relay.seen).toHaveLength(4);
});

it("a query that nobody watches any more stops its request", async () => {
  const { relay, cache, queries } = await queriesOf(await newcomer(), "hang");

  const forget = new QueryObserver(cache, queries.me()).subscribe(() => {});
  await until(() => relay.seen.length === 1);
  forget();

  await until(() => relay.seen[0]?.abandoned === true);
});

it("retry gives queries over a client without patience the rules of the client", async () => {
  const [relay, token] = [
    await Relay.start({ status: 503 }, "reset", { status: 404 }),
    await mint(await newcomer()),
  ];
  const client = checkedClient(relay.url, (request) => {
    request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request);
  });
  const { me } = userQueries(createUserEndpoints(client));

  const error = await failure(new QueryClient().fetchQuery({ ...me(), retry, retryDelay: 1 }));

  expect(error).toMatchObject({ status: 404 });
  expect(relay.seen).toHaveLength(3);
});

it("retry ends after three, and never begins for what will not pass", () => {
  const [lost, shape] = [new TypeError("fetch failed"), Object.create(ApiShapeError.prototype)];

  expect([0, 1, 2, 3].map((failures) => retry(failures, lost))).toEqual([true, true, true, false]);
  expect(retry(0, shape)).toBe(false);
  expect(retry(0, new DOMException("stopped", "AbortError"))).toBe(false);
});
