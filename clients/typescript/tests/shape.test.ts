import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as z from "zod/mini";
import {
  ApiShapeError,
  type Client,
  createApiClient,
  createUserEndpoints,
  type OnShape,
  type User,
} from "../src/index.js";
import { listLabels } from "./generated/sdk.gen.js";
import { Relay, type Step } from "./relay.js";
import { API, ClerkSession, createUser, mintToken, rejectionOf, STAFF } from "./servers.js";

const USER: User = {
  id: "6f6d3c1e-3f0a-4b52-9d0e-0f6f2f6b7a11",
  clerk_id: null,
  email: null,
  email_verified: false,
  first_name: "",
  last_name: "",
  image_url: "",
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00.123456Z",
};

async function usersOver(...script: Step[]) {
  const session = new ClerkSession(await createUser());
  const relay = await Relay.start(...script);
  const client = createApiClient({ baseUrl: relay.url, getToken: session.getToken });
  return { relay, users: createUserEndpoints(client) };
}

function json(body: unknown): Step {
  const headers = { "Content-Type": "application/json", "X-Request-ID": "abc" };
  return { status: 200, headers, body: JSON.stringify(body) };
}

describe("the real API returns", () => {
  const users = createUserEndpoints(createApiClient({ baseUrl: API, getToken: () => mintToken(STAFF) }));

  it("the user", async () => {
    expect((await users.me()).first_name).toBe("Grace");
  });

  it("the session", async () => {
    const { user_id, expires_at, actor } = await users.session();

    expect(user_id).toBe((await users.me()).clerk_id);
    expect(new Date(expires_at).getTime()).toBeGreaterThan(Date.now());
    expect(actor).toBeNull();
  });

  it("a page of users that match the query", async () => {
    const me = await users.me();

    const page = await users.list({ search: String(me.clerk_id), page_size: 1 });

    expect(page).toMatchObject({ count: 1, next: null, previous: null, results: [{ id: me.id }] });
  });

  it("one user by id", async () => {
    const me = await users.me();

    expect(await users.get(me.id)).toEqual(me);
  });

  it("an error with code and request id for an unknown id", async () => {
    const error = await rejectionOf(users.get("00000000-0000-4000-8000-000000000000"));

    expect(error).toMatchObject({
      status: 404,
      code: "not_found",
      requestId: expect.stringMatching(/.{8,}/),
    });
  });
});

describe("a response that does not match the schema", () => {
  const logged = () => vi.mocked(console.error).mock.calls;

  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });
  afterEach(() => {
    expect(logged().length).toBeLessThanOrEqual(1);
  });

  it("is an error that names the path, and is logged", async () => {
    const { users } = await usersOver(json({ ...USER, email_verified: "yes" }));

    const error = await rejectionOf(users.me());

    expect(error).toBeInstanceOf(ApiShapeError);
    expect(error).toMatchObject({ path: "email_verified", requestId: "abc" });
    expect(logged()).toEqual([
      [
        "The answer is not what the API's schema says at email_verified of GET /api/v1/me: invalid_type.",
        { requestId: "abc" },
      ],
    ]);
  });

  it("is an error with the path inside a list", async () => {
    const { email: _, ...withoutEmail } = USER;
    const { users } = await usersOver(
      json({ count: 2, next: null, previous: null, results: [USER, withoutEmail] }),
    );

    expect(await rejectionOf(users.list())).toMatchObject({ name: "ApiShapeError", path: "results.1.email" });
  });

  it("is accepted if it only has an additional field", async () => {
    const { users } = await usersOver(json({ ...USER, nickname: "Ada" }));

    expect((await users.me()).id).toBe(USER.id);
    expect(logged()).toEqual([]);
  });

  it.each<[string, Step, string]>([
    ["a page in HTML", { status: 200, headers: { "Content-Type": "text/html" }, body: "<h1>Hello</h1>" }, ""],
    [
      "half of the JSON",
      { status: 200, headers: { "Content-Type": "application/json" }, body: '{"id": ' },
      "",
    ],
    ["an empty body", { status: 200, headers: { "Content-Type": "application/json" } }, ""],
    ["an empty body of length 0", { status: 200, headers: { "Content-Length": "0" } }, ""],
    ["a 204", { status: 204 }, ""],
    ["null", json(null), ""],
    ["a list", json([]), ""],
  ])("is an error when it is %s", async (_, step, path) => {
    const { users } = await usersOver(step);

    expect(await rejectionOf(users.me())).toMatchObject({ name: "ApiShapeError", path });
    expect(logged()).toHaveLength(1);
  });

  it("is not the same as a body that is cut off", async () => {
    const { users, relay } = await usersOver("tear", "tear", "tear", "tear");

    expect(await rejectionOf(users.me())).toBeInstanceOf(TypeError);
    expect(relay.seen).toHaveLength(4);
    expect(logged()).toEqual([]);
  });
});

describe("an unknown value of an enum", () => {
  const LABEL = { id: 1, name: "one", color: "red" };
  const page = (...results: object[]) => json({ count: results.length, next: null, previous: null, results });
  const logged = () => vi.mocked(console.error).mock.calls;

  async function labelsOver(step: Step, onShape?: OnShape) {
    const relay = await Relay.start(step);
    const options = onShape ? { onShape } : {};
    return createApiClient({ baseUrl: relay.url, getToken: async () => null, ...options });
  }
  const list = async (client: Client, options: { onShape?: OnShape } = {}) =>
    (await listLabels({ client, throwOnError: true, ...options })).data;

  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });

  it("is logged, and the answer is returned", async () => {
    const client = await labelsOver(page(LABEL, { ...LABEL, color: "blue" }));

    expect((await list(client)).results.map(({ color }) => color)).toEqual(["red", "blue"]);

    expect(logged()).toEqual([
      [
        "The answer is not what the API's schema says at results.1.color of GET /api/v1/labels: invalid_value.",
        { requestId: "abc" },
      ],
    ]);
  });

  it.each<[string, object]>([
    ["null", { color: null }],
    ["absent", { color: undefined }],
    ["a number", { color: 1 }],
    ["a list", { color: ["red"] }],
  ])("is an error when it is %s", async (_, change) => {
    const client = await labelsOver(page({ ...LABEL, ...change }));

    expect(await rejectionOf(list(client))).toMatchObject({ path: "results.0.color", requestId: "abc" });
    expect(logged()).toHaveLength(1);
  });

  it("is no excuse for another fault, whose place the error names", async () => {
    const client = await labelsOver(page({ ...LABEL, color: "blue", name: 1 }));

    expect(await rejectionOf(list(client))).toMatchObject({ path: "results.0.name" });
  });

  it('is an error with onShape "throw", of the client or of the call', async () => {
    const step = page({ ...LABEL, color: "blue" });

    const [strict, other] = [await labelsOver(step, "throw"), await labelsOver(step)];

    expect(await rejectionOf(list(strict))).toMatchObject({ path: "results.0.color" });
    expect(await rejectionOf(list(other, { onShape: "throw" }))).toMatchObject({ name: "ApiShapeError" });
  });

  it('is logged like any other fault with onShape "report"', async () => {
    const client = await labelsOver(page({ ...LABEL, name: 1 }), "report");

    expect((await list(client)).results).toEqual([{ ...LABEL, name: 1 }]);
    expect(logged()).toHaveLength(1);
  });

  it('is no JSON: that is an error also with onShape "report"', async () => {
    const client = await labelsOver({ status: 200, body: "<h1>" }, "report");

    expect(await rejectionOf(list(client))).toMatchObject({ name: "ApiShapeError", path: "" });
  });

  it.each<[string, unknown, boolean]>([
    ["another value of the enum", "blue", true],
    ["a number", 1, false],
  ])("in a union with other values is judged by its type: %s", async (_, state, isAccepted) => {
    const State = z.union([z.enum(["open", "done"]), z.literal(""), z.null()]);
    const relay = await Relay.start(json({ state }));
    const client = createApiClient({ baseUrl: relay.url, getToken: async () => null });
    const call = client.get({
      url: "/api/state",
      responseValidator: (data) => z.object({ state: State }).parseAsync(data),
      throwOnError: true,
    });

    if (isAccepted) expect((await call).data).toEqual({ state });
    else expect(await rejectionOf(call)).toMatchObject({ path: "state" });
  });
});
