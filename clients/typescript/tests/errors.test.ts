import { describe, expect, expectTypeOf, it, vi } from "vitest";
import {
  ApiError,
  type CallError,
  checkedClient,
  createApiClient,
  createServerApiClient,
  createUserEndpoints,
  isTransient,
} from "../src/index.js";
import type { createLabelMutation } from "./generated/@tanstack/react-query.gen.js";
import { createLabel } from "./generated/sdk.gen.js";
import { Relay, type Step } from "./relay.js";
import { API, createUser, mintToken, rejectionOf } from "./servers.js";

const SECRET = "ada@example.test";

async function clientOf(...script: Step[]) {
  const [relay, token] = [await Relay.start(...script), await mintToken(await createUser())];
  const client = createApiClient({ baseUrl: relay.url, getToken: async () => token, retries: 0 });
  return { relay, client, users: createUserEndpoints(client) };
}

async function errorOf(call: Promise<unknown>): Promise<ApiError> {
  const error = await rejectionOf(call);
  if (!(error instanceof ApiError)) throw error;
  return error;
}

describe("an error of a form", () => {
  it("has the messages of each field, from the real API", async () => {
    const { client } = await clientOf();
    const body = { name: "a".repeat(151) };

    const error = await errorOf(createLabel({ client, body, throwOnError: true }));

    expect(error).toMatchObject({
      status: 400,
      type: "validation_error",
      method: "POST",
      path: "/api/v1/labels",
    });
    expect(error.errors).toEqual([{ code: "max_length", detail: expect.any(String), attr: "name" }]);
    expect(error.fieldErrors()).toEqual({ name: [error.message] });
  });

  it("has all messages of a field, those of nested fields and those of the whole form", async () => {
    const errors = [
      { code: "blank", detail: "One.", attr: "title" },
      { code: "short", detail: "Two.", attr: "title" },
      { code: "blank", detail: "Three.", attr: "items.0.name" },
      { code: "clash", detail: "Four.", attr: "non_field_errors" },
      { code: "blank", detail: "Five.", attr: "__proto__" },
      { code: "other", detail: "Six.", attr: null },
    ];
    const body = JSON.stringify({ type: "validation_error", errors });
    const { users } = await clientOf({ status: 400, body });

    const error = await errorOf(users.me());

    expect(error.errors).toEqual(errors);
    expect([error.code, error.message]).toEqual(["blank", "One."]);
    expect(Object.entries(error.fieldErrors())).toEqual([
      ["title", ["One.", "Two."]],
      ["items.0.name", ["Three."]],
      ["non_field_errors", ["Four."]],
      ["__proto__", ["Five."]],
    ]);
  });

  it.each([
    "<h1>Bad Request</h1>",
    "",
    "null",
    "[]",
    '{"errors": []}',
    '{"errors": {}}',
    '{"errors": [null]}',
    '{"errors": [{"code": 1, "detail": "a", "attr": null}]}',
    '{"errors": [{"code": "a", "detail": "a"}]}',
  ])("is a proxy's when its body is %j", async (body) => {
    const { users } = await clientOf({ status: 400, body });

    const error = await errorOf(users.me());

    expect(error).toMatchObject({ code: "http_400", type: "client_error" });
    expect(error.errors).toEqual([{ code: "http_400", detail: error.message, attr: null }]);
    expect(error.fieldErrors()).toEqual({});
  });
});

it("the error of a mutation is typed, and leads to the field errors", () => {
  type Mutation = ReturnType<typeof createLabelMutation>;
  type OnError = NonNullable<Mutation["onError"]>;

  expectTypeOf<Parameters<OnError>[0]>().toEqualTypeOf<CallError>();
  expectTypeOf<Extract<CallError, { name: "ApiError" }>>().toExtend<{ fieldErrors(): object }>();
});

describe("retryAfter", () => {
  it.each<[string | undefined, number | null]>([
    [undefined, null],
    ["7", 7],
    ["0", 0],
    ["soon", null],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ])("of %j is %j", async (value, seconds) => {
    const { users } = await clientOf({
      status: 503,
      headers: value === undefined ? {} : { "Retry-After": value },
    });

    expect((await errorOf(users.me())).retryAfter).toBe(seconds);
  });

  it("of a date is the time until then", async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    const { users } = await clientOf({ status: 429, headers: { "Retry-After": date } });

    const { retryAfter } = await errorOf(users.me());

    expect(retryAfter).toBeGreaterThan(55);
    expect(retryAfter).toBeLessThan(61);
  });
});

describe("clerkError", () => {
  it("keeps what Clerk's hook for another verification looks for", async () => {
    const clerk_error = {
      type: "forbidden",
      reason: "reverification-error",
      metadata: { reverification: "strict" },
    };
    const errors = [{ code: "reverification_required", detail: "Verify again.", attr: null }];
    const body = JSON.stringify({ type: "client_error", errors, clerk_error });
    const { users } = await clientOf({ status: 403, body });

    expect((await errorOf(users.me())).clerkError).toEqual(clerk_error);
  });

  it.each(["", "null", "[]", '{"clerk_error": null}', '{"clerk_error": "forbidden"}'])(
    "is undefined for the body %j",
    async (body) => {
      const { users } = await clientOf({ status: 403, body });

      expect((await errorOf(users.me())).clerkError).toBeUndefined();
    },
  );
});

describe("a programming error", () => {
  it.each(["", "api.example.com", "//api.example.com", "htp://api.example.com", "https://", "http://[::1"])(
    "in the address %j is refused when the client is created",
    (baseUrl) => {
      const getToken = async () => null;

      for (const create of [createApiClient, createServerApiClient]) {
        expect(() => create({ baseUrl, getToken })).toThrow(/The baseUrl of the API client cannot be parsed/);
      }
      expect(() => checkedClient(baseUrl, fetch)).toThrow(/cannot be parsed/);
    },
  );

  it("in the address of one call is not transient, and its message holds no query", async () => {
    const { client } = await clientOf();

    const error = await rejectionOf(
      client.get({ baseUrl: "nowhere", url: "/api", query: { search: SECRET }, throwOnError: true }),
    );

    expect(error).toBeInstanceOf(TypeError);
    expect(isTransient(error)).toBe(false);
    expect(String(error)).toMatch(/nowhere\/api/);
    expect(String(error)).not.toMatch(/search|ada/);
  });

  it("in your own code is not transient", () => {
    expect(isTransient(new TypeError("undefined is not a function"))).toBe(false);
  });
});

describe("a network failure is transient", () => {
  it.each<Step>(["reset", "tear"])("when the API answers with %j", async (step) => {
    const { users } = await clientOf(step);

    const error = await rejectionOf(users.me());

    expect(error).toBeInstanceOf(TypeError);
    expect(isTransient(error)).toBe(true);
  });

  it("over a fetch of your own", async () => {
    const relay = await Relay.start("reset");

    expect(isTransient(await rejectionOf(createUserEndpoints(checkedClient(relay.url, fetch)).me()))).toBe(
      true,
    );
  });
});

describe("no message holds the query", () => {
  it.each<[string, Step]>([
    ["an error of the API", { status: 404 }],
    ["a response of another shape", { status: 200, body: "{}" }],
    ["a response that is no JSON", { status: 200, body: "<h1>" }],
    ["a timeout", "hang"],
    ["a lost connection", "reset"],
  ])("of %s", async (_, step) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { users, relay } = await clientOf(step);

    const error = await rejectionOf(users.list({ search: SECRET }, { timeout: 300 }));

    expect(relay.seen[0]?.path).toContain("ada");
    expect(
      `${error} ${JSON.stringify(error)} ${JSON.stringify(vi.mocked(console.error).mock.calls)}`,
    ).not.toMatch(/search|ada/);
  });

  it("and the path of an error is that of the address", async () => {
    const client = createApiClient({ baseUrl: API, getToken: async () => null, retries: 0 });

    const error = await errorOf(
      client.get({ url: "/nothing/here", query: { search: SECRET }, throwOnError: true }),
    );

    expect([error.method, error.path]).toEqual(["GET", "/nothing/here"]);
  });
});
