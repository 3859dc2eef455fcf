// @vitest-environment happy-dom
import {
  QueryClient,
  QueryClientProvider,
  QueryObserver,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { act, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, describe, expect, it, vi } from "vitest";
import { getMeOptions, getMeQueryKey, getUserQueryKey, listUsersQueryKey } from "../src/api.js";
import { AccountChanged, ApiError, byPage, createApiClient, type GetToken } from "../src/index.js";
import { ApiProvider, createQueryClient, useApi, type useApiClient } from "../src/react.js";
import {
  createLabelMutation,
  deleteLabelMutation,
  listLabelsInfiniteOptions,
  listLabelsOptions,
  listLabelsQueryKey,
} from "./generated/@tanstack/react-query.gen.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, mintToken, rejectionOf, waitUntil } from "./servers.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
const unmounts: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const unmount of unmounts.splice(0)) await unmount();
});

const subjectOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).sub;

async function clientOf(options: { userId?: string } = {}, ...script: Step[]) {
  const relay = await Relay.start(...script);
  const session = new ClerkSession(await createUser());
  return {
    relay,
    session,
    client: createApiClient({ baseUrl: relay.url, getToken: session.getToken, ...options }),
  };
}

/** Render a page, and record the text of the document at every commit. */
async function render(page: ReactNode) {
  const [container, frames] = [document.createElement("div"), [] as string[]];
  document.body.append(container);
  const observer = new MutationObserver(() => frames.push(container.textContent ?? ""));
  observer.observe(container, { subtree: true, childList: true, characterData: true });
  const root = createRoot(container);
  unmounts.push(() => act(async () => root.unmount()));
  const show = (next: ReactNode) => act(async () => root.render(next));
  const text = () => container.textContent ?? "";
  await show(page);
  /** Wait until the page shows a text. */
  const shows = async (part: string) => {
    for (let tries = 0; tries < 500 && !text().includes(part); tries++) {
      await act(async () => new Promise((resolve) => setTimeout(resolve, 10)));
    }
    expect(text()).toContain(part);
  };
  const click = (id: string) =>
    act(async () => container.querySelector<HTMLButtonElement>(`#${id}`)?.click());
  return { show, shows, text, click, frames };
}

describe("a query key", () => {
  it("holds the user and the address of its client", async () => {
    const { client, relay } = await clientOf({ userId: "user_1" });

    expect(getMeQueryKey({ client })).toEqual([{ _id: "getMe", baseUrl: relay.url, userId: "user_1" }]);
  });

  it("differs between users", async () => {
    const [{ client }, cache] = [await clientOf({ userId: "user_1" }), new QueryClient()];
    const other = createApiClient({ ...client.getConfig(), userId: "user_2" } as never);
    cache.setQueryData(getMeQueryKey({ client }), { email: "ada@example.test" });

    expect(cache.getQueryData(getMeQueryKey({ client }))).toBeDefined();
    expect(cache.getQueryData(getMeQueryKey({ client: other }))).toBeUndefined();
  });

  it("without a client matches the queries of all clients, for an invalidation", async () => {
    const [{ client }, cache] = [await clientOf({ userId: "user_1" }), new QueryClient()];
    cache.setQueryData(listUsersQueryKey({ client, query: { page: 2 } }), {});
    cache.setQueryData(getUserQueryKey({ client, path: { id: "1" } }), {});

    await cache.invalidateQueries({ queryKey: listUsersQueryKey() });

    const stale = cache.getQueryCache().findAll({ stale: true });
    expect(stale.map(({ queryKey }) => queryKey)).toEqual([
      listUsersQueryKey({ client, query: { page: 2 } }),
    ]);
  });
});

describe("createQueryClient", () => {
  const BUSY: Step = { status: 503 };

  async function failuresOf(cache: QueryClient, ...script: Step[]) {
    const { relay, client } = await clientOf({}, ...script);
    const observer = new QueryObserver(cache, getMeOptions({ client }));
    const stop = observer.subscribe(() => {});
    await waitUntil(() => observer.getCurrentResult().isError);
    stop();
    return { requests: relay.seen.length, error: observer.getCurrentResult().error };
  }

  it("adds no retries to those of the client", async () => {
    const { requests, error } = await failuresOf(createQueryClient(), BUSY, BUSY, BUSY, BUSY);

    expect(error).toMatchObject({ status: 503 });
    expect(requests).toBe(4);
  });

  it("does not repeat a 4xx", async () => {
    const { requests, error } = await failuresOf(createQueryClient(), { status: 404 });

    expect(error).toMatchObject({ status: 404 });
    expect(requests).toBe(1);
  });

  it("never repeats a mutation", async () => {
    const { relay, client } = await clientOf({}, "reset");
    const mutation = createQueryClient()
      .getMutationCache()
      .build(createQueryClient(), { ...createLabelMutation({ client }) });

    await rejectionOf(mutation.execute({ body: { name: "once" } }));

    expect(relay.seen).toHaveLength(1);
  });

  it("keeps what its configuration says", () => {
    const cache = createQueryClient({
      defaultOptions: { queries: { staleTime: 7 }, mutations: { gcTime: 8 } },
    });

    expect(cache.getDefaultOptions()).toMatchObject({
      queries: { staleTime: 7, retry: false },
      mutations: { gcTime: 8, retry: false },
    });
    expect(
      createQueryClient({ defaultOptions: { queries: { retry: 2 } } }).getDefaultOptions(),
    ).toMatchObject({
      queries: { retry: 2 },
      mutations: { retry: false },
    });
  });
});

describe("the generated options for endpoints of your own", () => {
  const prefix = () => `label ${process.pid} ${performance.now()}`;

  it("list, create with field errors, page and delete", async () => {
    const name = prefix();
    const { client } = await clientOf();
    const search = { query: { page_size: 1 } };

    function Labels() {
      const cache = useQueryClient();
      const list = useInfiniteQuery({ ...listLabelsInfiniteOptions({ client, ...search }), ...byPage });
      const onSuccess = () => cache.invalidateQueries({ queryKey: listLabelsQueryKey() });
      const create = useMutation({ ...createLabelMutation({ client }), onSuccess });
      const remove = useMutation({ ...deleteLabelMutation({ client }), onSuccess });
      const rows = list.data?.pages.flatMap(({ results }) => results) ?? [];
      const errors = create.error instanceof ApiError ? create.error.fieldErrors() : {};
      return (
        <div>
          count {list.data?.pages[0]?.count} rows {rows.length} field {errors.name?.[0]}
          <button type="button" id="create" onClick={() => create.mutate({ body: { name } })} />
          <button type="button" id="more" onClick={() => list.fetchNextPage()} />
          <button
            type="button"
            id="delete"
            onClick={() => create.data && remove.mutate({ path: { id: String(create.data.id) } })}
          />
          {create.isSuccess && `created ${create.data.id};`} {remove.isSuccess && "deleted"}{" "}
          {remove.error?.message}
        </div>
      );
    }
    await createdLabels(client, `${name} a`, `${name} b`);
    const page = await render(
      <QueryClientProvider client={createQueryClient()}>
        <Labels />
      </QueryClientProvider>,
    );
    await page.shows("rows 1");
    await page.click("more");
    await page.shows("rows 2");

    await page.click("create");
    await page.shows("created");
    const id = Number(/created (\d+);/.exec(page.text())?.[1]);
    await page.click("delete");
    await page.shows("deleted");
    await page.click("create");
    await page.shows(`created ${id + 1};`);
    await page.click("create");
    await page.shows("field group with this name already exists.");
  });

  async function createdLabels(client: ReturnType<typeof createApiClient>, ...names: string[]) {
    for (const name of names) {
      await client.post({ url: "/api/v1/labels", body: { name }, throwOnError: true });
    }
  }

  it("abort their request when no component uses them", async () => {
    const { client, relay } = await clientOf({}, "hang");

    const unsubscribe = new QueryObserver(createQueryClient(), listLabelsOptions({ client })).subscribe(
      () => {},
    );
    await waitUntil(() => relay.seen.length === 1);
    unsubscribe();

    await waitUntil(() => relay.seen[0]?.abandoned === true);
  });
});

describe("a switch of the account", () => {
  /** Two users, and Clerk's hook: it returns the user who is signed in at the moment. */
  async function twoUsers() {
    const [one, two] = [await createUser(), await createUser()];
    const tokens = [await mintToken(one), await mintToken(two)] as const;
    return { one, two, tokens, ids: tokens.map(subjectOf) as [string, string] };
  }

  function Me() {
    const { data, error } = useQuery(getMeOptions({ client: useApi() }));
    return (
      <p>
        {data?.email} {error?.name}
      </p>
    );
  }

  function App({
    baseUrl,
    userId,
    getToken,
  }: {
    baseUrl: string;
    userId: string | null;
    getToken: GetToken;
  }) {
    return (
      <ApiProvider baseUrl={baseUrl} userId={userId} getToken={getToken}>
        {userId}: <Me />
      </ApiProvider>
    );
  }

  it("shows nothing of the previous user, not for one frame", async () => {
    const [relay, { one, two, tokens, ids }] = [await Relay.start(), await twoUsers()];
    const app = (user: 0 | 1) => (
      <App baseUrl={relay.url} userId={ids[user]} getToken={async () => tokens[user]} />
    );

    const page = await render(app(0));
    await page.shows(one);
    page.frames.length = 0;
    await page.show(app(1));
    expect(page.text()).not.toContain(one);
    await page.shows(two);
    await page.show(app(0));
    await page.shows(one);

    for (const frame of page.frames) {
      if (frame.includes(ids[0])) expect(frame).not.toContain(two);
      if (frame.includes(ids[1])) expect(frame).not.toContain(one);
    }
    expect(page.frames.length).toBeGreaterThan(2);
    expect(relay.seen).toHaveLength(3); // the cache of the first user was not kept
  });

  it("shows nothing of the next user in the page of the previous one, when Clerk is first with the token", async () => {
    const [relay, { one, two, tokens, ids }] = [await Relay.start(), await twoUsers()];
    let held: string = tokens[0];
    let client: ReturnType<typeof useApiClient> | undefined;
    function Page() {
      client = useApi();
      return <Me />;
    }
    const page = await render(
      <ApiProvider baseUrl={relay.url} userId={ids[0]} getToken={async () => held}>
        <Page />
      </ApiProvider>,
    );
    await page.shows(one);

    held = tokens[1];
    if (!client) throw new Error("Nothing was rendered.");
    const write = client.post({ url: "/api/test/echo", body: {}, throwOnError: true });

    expect(await rejectionOf(write)).toBeInstanceOf(AccountChanged);
    expect(relay.seen).toHaveLength(1);
    expect(page.frames.join()).not.toContain(two);
  });

  it("empties the state of the components too", async () => {
    const [relay, { tokens, ids }] = [await Relay.start("hang", "hang"), await twoUsers()];
    const mounted = vi.fn();
    function Draft() {
      const client = useApi();
      mounted(client.getConfig().userId);
      return <input />;
    }
    const app = (user: 0 | 1) => (
      <ApiProvider baseUrl={relay.url} userId={ids[user]} getToken={async () => tokens[user]}>
        <Draft />
      </ApiProvider>
    );
    const page = await render(app(0));
    const input = document.querySelector("input");
    await page.show(app(1));

    expect(document.querySelector("input")).not.toBe(input);
    expect(mounted.mock.calls.flat()).toEqual(ids);
  });
});

it("useApi without a provider is an error that says so", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const Page = () => String(useApi());

  await expect(render(<Page />)).rejects.toThrow("useApi needs an <ApiProvider>");
});

it.each<[string | null | undefined, number | undefined]>([
  ["http://api.example.com/api/v1/labels?page=2&page_size=1", 2],
  ["/api/v1/labels?page_size=5&page=13", 13],
  ["/api/v1/labels?homepage=3", undefined],
  [null, undefined],
  [undefined, undefined],
])("the page after one whose next is %j is %j", (next, page) => {
  expect(byPage.getNextPageParam({ ...(next !== undefined && { next }) })).toBe(page);
});
