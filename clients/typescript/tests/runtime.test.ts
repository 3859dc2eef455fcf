import { afterEach, describe, expect, it, vi } from "vitest";
import {
  checkedClient,
  createApiClient,
  createServerApiClient,
  createUserEndpoints,
  isTransient,
} from "../src/index.js";
import { Relay } from "./relay.js";
import { API, ClerkSession, createUser, EXPIRED, mintToken, rejectionOf } from "./servers.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Remove names from the runtime until the test ends. */
function remove(...names: string[]): void {
  for (const name of names) {
    vi.stubGlobal(name, undefined);
    Reflect.deleteProperty(globalThis, name);
  }
}

describe("a runtime that lacks what the client needs is refused with a sentence", () => {
  const getToken = async () => null;
  const creators = [
    () => createApiClient({ baseUrl: API, getToken }),
    () => createServerApiClient({ baseUrl: API, getToken }),
    () => checkedClient(API, async () => new Response()),
  ];

  it.each(["Request", "Response", "Headers", "AbortController", "atob"])("that names %s", (name) => {
    remove(name);

    for (const create of creators) {
      expect(create).toThrow(`This runtime has no ${name}, which the API client needs. Add a polyfill`);
    }
  });

  it("that names several, such as those of jsdom in Jest", () => {
    remove("fetch", "Request", "Response", "Headers");

    expect(creators[0]).toThrow("This runtime has no fetch, Request, Response, Headers, which");
  });

  it("but needs no fetch of the runtime with one of your own", () => {
    remove("fetch");

    expect(createApiClient({ baseUrl: API, getToken, fetch: async () => new Response() })).toHaveProperty(
      "get",
    );
  });
});

describe("a browser without AbortSignal.any and AbortSignal.timeout", () => {
  function withoutThem(): void {
    vi.stubGlobal("AbortSignal", Object.assign(AbortSignal, { any: undefined, timeout: undefined }));
  }
  const { any, timeout } = AbortSignal;
  afterEach(() => {
    Object.assign(AbortSignal, { any, timeout });
  });

  it("renews, retries, limits and aborts calls", async () => {
    withoutThem();
    const session = new ClerkSession(await createUser(), EXPIRED);
    const relay = await Relay.start({ status: 503 }, "pass", "pass", "hang", "hang");
    const users = createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken: session.getToken }));
    const [stop, reason] = [new AbortController(), new Error("The page was left.")];

    expect((await users.me()).email).toBe(`${session.user}@example.test`);
    expect(await rejectionOf(users.me({ timeout: 100 }))).toMatchObject({ name: "TimeoutError" });
    const call = rejectionOf(users.me({ signal: stop.signal }));
    stop.abort(reason);
    expect(await call).toBe(reason);
  });
});

describe("a fetch that is replaced after the client was created", () => {
  it("is used, as by error trackers and tests", async () => {
    const token = await mintToken(await createUser());
    const users = createUserEndpoints(createApiClient({ baseUrl: API, getToken: async () => token }));
    const replaced = vi.fn(globalThis.fetch);
    vi.stubGlobal("fetch", replaced);

    await users.me();

    expect(replaced).toHaveBeenCalledTimes(1);
  });
});

describe("a worker whose Request has no cache mode", () => {
  it("gets none, and the calls work", async () => {
    const [Known, seen] = [Request, vi.fn()];
    class WorkerRequest extends Known {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        seen(init?.cache);
        if (init?.cache) throw new Error("The 'cache' field on 'RequestInitializerDict' is not implemented.");
        super(input, init);
      }
    }
    const token = await mintToken(await createUser());
    const users = () =>
      createUserEndpoints(createServerApiClient({ baseUrl: API, getToken: async () => token }));
    vi.stubGlobal("Request", WorkerRequest);
    expect(await rejectionOf(users().me())).toMatchObject({
      message: expect.stringContaining("not implemented"),
    });

    const cache = Object.getOwnPropertyDescriptor(Known.prototype, "cache");
    Reflect.deleteProperty(Known.prototype, "cache");
    try {
      expect(await users().me()).toHaveProperty("id");
    } finally {
      if (cache) Object.defineProperty(Known.prototype, "cache", cache);
    }
  });
});

describe("a worker whose fetch rejects with no TypeError", () => {
  const getToken = () => mintToken("ada");
  const users = (fetch: () => Promise<Response>, retries: number) =>
    createUserEndpoints(createServerApiClient({ baseUrl: API, getToken, fetch, retries }));

  it("sends reads again after a lost connection, which is transient", async () => {
    const lost = Object.assign(new Error("Network connection lost."), { retryable: true });
    const fetch = vi.fn(() => Promise.reject(lost));

    const error = await rejectionOf(users(fetch, 1).me());

    expect(error).toBe(lost);
    expect(fetch).toHaveBeenCalledTimes(2);
    expect(isTransient(error)).toBe(true);
  });

  it("does not repeat another error", async () => {
    const fetch = vi.fn(() => Promise.reject(Object.assign(new Error("No."), { retryable: false })));

    const error = await rejectionOf(users(fetch, 1).me());

    expect(fetch).toHaveBeenCalledTimes(1);
    expect(isTransient(error)).toBe(false);
  });
});

describe("Deno, whose Request knows an option `client`", () => {
  it("gets none, and the calls work", async () => {
    const seen = vi.fn();
    class DenoRequest extends Request {
      constructor(input: RequestInfo | URL, init?: RequestInit & { client?: unknown }) {
        seen(init?.client);
        super(input, init);
      }
    }
    const token = await mintToken(await createUser());
    vi.stubGlobal("Request", DenoRequest);

    await createUserEndpoints(createApiClient({ baseUrl: API, getToken: async () => token })).me();

    expect(seen).toHaveBeenCalled();
    expect(seen.mock.calls.flat().filter((client) => client !== undefined)).toEqual([]);
  });
});
