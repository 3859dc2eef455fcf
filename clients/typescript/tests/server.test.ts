import { expect, it } from "vitest";
import { checkedClient, createServerApiClient, createUserEndpoints } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { API, EXPIRED, failure, mint, newcomer, type TokenOptions } from "./world.js";

/** One request of somebody to a server that asks the API in turn. */
async function render(options?: TokenOptions, ...script: Step[]) {
  const [who, relay] = [await newcomer(), await Relay.start(...script)];
  const token = await mint(who, options);
  const client = createServerApiClient({ baseUrl: relay.url, getToken: async () => token });
  return { who, relay, users: createUserEndpoints(client) };
}

it("a server asks in the name of whose request it serves, two at a time", async () => {
  const [one, two] = await Promise.all([render(), render()]);

  const [first, second] = await Promise.all([one.users.me(), two.users.me()]);

  expect([first.email, second.email]).toEqual([`${one.who}@example.test`, `${two.who}@example.test`]);
});

it("a server renews nothing: a refused token is an error after one request", async () => {
  const [who, relay] = [await newcomer(), await Relay.start()];
  const client = createServerApiClient({ baseUrl: relay.url, getToken: () => mint(who, EXPIRED) });

  expect(await failure(createUserEndpoints(client).me())).toMatchObject({
    status: 401,
    code: "token_expired",
  });

  expect(relay.seen).toHaveLength(1);
});

it("a server whose visitor is signed out hears so from the API", async () => {
  const client = createServerApiClient({ baseUrl: API, getToken: async () => null });

  expect(await failure(createUserEndpoints(client).me())).toMatchObject({ code: "not_authenticated" });
});

it("a server waits out a 503", async () => {
  const { relay, users } = await render({}, { status: 503 });

  await users.me();

  expect(relay.seen).toHaveLength(2);
});

it("a server keeps no answer for the next visitor", async () => {
  const token = await mint(await newcomer());
  const caches: RequestCache[] = [];
  const client = createServerApiClient({
    baseUrl: API,
    getToken: async () => token,
    fetch: (request) => {
      caches.push(request.cache);
      return fetch(request);
    },
  });

  await createUserEndpoints(client).me();

  expect(caches).toEqual(["no-store"]);
});

it("the endpoints work over any fetch", async () => {
  const who = await newcomer();
  const token = await mint(who);
  const client = checkedClient(API, (request) => {
    request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request);
  });

  expect((await createUserEndpoints(client).me()).email).toBe(`${who}@example.test`);
});
