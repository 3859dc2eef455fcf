import { expect, it } from "vitest";
import { checkedClient, createServerApiClient, createUserEndpoints } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { API, createUser, EXPIRED, mintToken, rejectionOf, type TokenOptions } from "./servers.js";

/** Create a client as a server does for one request of a user. */
async function render(options?: TokenOptions, ...script: Step[]) {
  const [user, relay] = [await createUser(), await Relay.start(...script)];
  const token = await mintToken(user, options);
  const client = createServerApiClient({ baseUrl: relay.url, getToken: async () => token });
  return { user, relay, users: createUserEndpoints(client) };
}

it("a server sends each request with the token of its own user", async () => {
  const [one, two] = await Promise.all([render(), render()]);

  const [first, second] = await Promise.all([one.users.me(), two.users.me()]);

  expect([first.email, second.email]).toEqual([`${one.user}@example.test`, `${two.user}@example.test`]);
});

it("a server does not renew: a refused token is an error after one request", async () => {
  const [user, relay] = [await createUser(), await Relay.start()];
  const client = createServerApiClient({ baseUrl: relay.url, getToken: () => mintToken(user, EXPIRED) });

  expect(await rejectionOf(createUserEndpoints(client).me())).toMatchObject({
    status: 401,
    code: "token_expired",
  });

  expect(relay.seen).toHaveLength(1);
});

it("a server without a token gets not_authenticated from the API", async () => {
  const client = createServerApiClient({ baseUrl: API, getToken: async () => null });

  expect(await rejectionOf(createUserEndpoints(client).me())).toMatchObject({ code: "not_authenticated" });
});

it("a server retries after a 503", async () => {
  const { relay, users } = await render({}, { status: 503 });

  await users.me();

  expect(relay.seen).toHaveLength(2);
});

it("a server caches no response", async () => {
  const token = await mintToken(await createUser());
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

it("the endpoints work over a custom fetch", async () => {
  const user = await createUser();
  const token = await mintToken(user);
  const client = checkedClient(API, (request) => {
    request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request);
  });

  expect((await createUserEndpoints(client).me()).email).toBe(`${user}@example.test`);
});
