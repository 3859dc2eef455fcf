// @vitest-environment happy-dom
import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, it } from "vitest";
import { type Client, createUserEndpoints } from "../src/index.js";
import { useApiClient } from "../src/react.js";
import { API, createUser, mintToken } from "./servers.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

/** Pass another `getToken` function at every render, as Clerk's `useAuth()` may do. */
function Page({ user, use }: { user: string; use: (client: Client) => void }) {
  use(useApiClient({ baseUrl: API, getToken: () => mintToken(user) }));
  return null;
}

it("a component keeps one client, which calls getToken of the latest render", async () => {
  const [one, two] = [await createUser(), await createUser()];
  const clients: Client[] = [];
  const use = (client: Client) => clients.push(client);
  const root = createRoot(document.createElement("div"));

  await act(async () => root.render(<Page user={one} use={use} />));
  const [client] = clients;
  if (!client) throw new Error("Nothing was rendered.");
  const users = createUserEndpoints(client);
  expect((await users.me()).email).toBe(`${one}@example.test`);
  await act(async () => root.render(<Page user={two} use={use} />));

  expect((await users.me()).email).toBe(`${two}@example.test`);
  expect(new Set(clients).size).toBe(1);
  await act(async () => root.unmount());
});
