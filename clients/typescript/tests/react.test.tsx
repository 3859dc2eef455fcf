// @vitest-environment happy-dom
import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, it } from "vitest";
import { type Client, createUserEndpoints } from "../src/index.js";
import { useApiClient } from "../src/react.js";
import { API, mint, newcomer } from "./world.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

/** Hands `getToken` on as another function at every render, as Clerk's `useAuth()` may do. */
function Page({ who, use }: { who: string; use: (client: Client) => void }) {
  use(useApiClient({ baseUrl: API, getToken: () => mint(who) }));
  return null;
}

it("a component has one client, which asks the getToken of the latest render", async () => {
  const [one, two] = [await newcomer(), await newcomer()];
  const clients: Client[] = [];
  const use = (client: Client) => clients.push(client);
  const root = createRoot(document.createElement("div"));

  await act(async () => root.render(<Page who={one} use={use} />));
  const [client] = clients;
  if (!client) throw new Error("Nothing was rendered.");
  const users = createUserEndpoints(client);
  expect((await users.me()).email).toBe(`${one}@example.test`);
  await act(async () => root.render(<Page who={two} use={use} />));

  expect((await users.me()).email).toBe(`${two}@example.test`);
  expect(new Set(clients).size).toBe(1);
  await act(async () => root.unmount());
});
