import { describe, expect, it, vi } from "vitest";
import { createApiClient, createServerApiClient, createUserEndpoints } from "../src/index.js";
import { createLabel, deleteLabel } from "./generated/sdk.gen.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, EXPIRED, mintToken, rejectionOf, type TokenOptions } from "./servers.js";

async function clientOf(script: Step[] = [], first?: TokenOptions) {
  const relay = await Relay.start(...script);
  const session = new ClerkSession(await createUser(), first);
  const client = createApiClient({ baseUrl: relay.url, getToken: session.getToken });
  return { relay, client, session, ...callsOf(client) };
}

const callsOf = (client: ReturnType<typeof createApiClient>) => ({
  create: async (name: string) => (await createLabel({ client, body: { name }, throwOnError: true })).data,
  destroy: (id: number) => deleteLabel({ client, path: { id: String(id) }, throwOnError: true }),
});

const name = () => `label of ${performance.now()} in ${process.pid}`;

describe("a deletion that the API answers with 204", () => {
  it("resolves with undefined, and the row is deleted", async () => {
    const { create, destroy } = await clientOf();
    const { id } = await create(name());

    const { data, response } = await destroy(id);

    expect(data).toBeUndefined();
    expect(response.status).toBe(204);
    expect(await rejectionOf(destroy(id))).toMatchObject({
      name: "ApiError",
      status: 404,
      code: "not_found",
    });
  });

  it("resolves without throwOnError", async () => {
    const { client, create } = await clientOf();
    const { id } = await create(name());

    const { data, error } = await deleteLabel({ client, path: { id: String(id) } });

    expect([data, error]).toEqual([undefined, undefined]);
  });

  it("resolves on a server", async () => {
    const [relay, token] = [await Relay.start(), await mintToken(await createUser())];
    const { create, destroy } = callsOf(
      createServerApiClient({ baseUrl: relay.url, getToken: async () => token }),
    );
    const { id } = await create(name());

    expect((await destroy(id)).data).toBeUndefined();
  });

  it("resolves after a renewal", async () => {
    const user = await createUser();
    const [expired, good] = [await mintToken(user, EXPIRED), await mintToken(user)];
    const relay = await Relay.start();
    let held = good;
    const { create, destroy } = callsOf(
      createApiClient({
        baseUrl: relay.url,
        getToken: async (options) => (options?.skipCache ? good : held),
      }),
    );
    const { id } = await create(name());
    held = expired;

    await destroy(id);

    expect(relay.seen.map(({ method }) => method)).toEqual(["POST", "DELETE", "DELETE"]);
  });

  it("without a schema resolves with undefined", async () => {
    const { client, create } = await clientOf();
    const { id } = await create(name());

    const { data } = await client.delete({ url: `/api/v1/labels/${id}`, throwOnError: true });

    expect(data).toBeUndefined();
  });
});

describe("another empty response to an operation without a response body", () => {
  it.each<[string, Step]>([
    ["205", { status: 205 }],
    ["200 of length 0", { status: 200, headers: { "Content-Length": "0" } }],
    [
      "202 of length 0",
      { status: 202, headers: { "Content-Length": "0", "Content-Type": "application/json" } },
    ],
    ["200 of unknown length", { status: 200, headers: { "Transfer-Encoding": "chunked" } }],
  ])("(%s) resolves with undefined", async (_, step) => {
    const { destroy } = await clientOf([step]);

    expect((await destroy(1)).data).toBeUndefined();
  });

  it("is an error if it has a body", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { destroy } = await clientOf([{ status: 200, body: '{"id": 1}' }]);

    expect(await rejectionOf(destroy(1))).toMatchObject({ name: "ApiShapeError", path: "" });
  });
});

describe("an empty response to an operation with a response body", () => {
  it.each<[string, Step]>([
    ["204", { status: 204 }],
    ["205", { status: 205 }],
    ["200 of length 0", { status: 200, headers: { "Content-Length": "0" } }],
    ["200 of unknown length", { status: 200, headers: { "Transfer-Encoding": "chunked" } }],
  ])("(%s) is an error", async (_, step) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { client, create } = await clientOf([step, step]);

    expect(await rejectionOf(create(name()))).toMatchObject({ name: "ApiShapeError", path: "" });
    expect(await rejectionOf(createUserEndpoints(client).me())).toMatchObject({
      name: "ApiShapeError",
      path: "",
    });
  });
});

it("a body is returned completely, as JSON and as text", async () => {
  const { client, create } = await clientOf();

  const label = name();
  expect(await create(label)).toMatchObject({ name: label });
  const { data } = await client.post({
    url: "/api/test/echo",
    body: { note: "Zoë" },
    parseAs: "text",
    throwOnError: true,
  });

  expect(JSON.parse(String(data))).toEqual({ received: { note: "Zoë" } });
});
