import { expect, it } from "vitest";
import { createApiClient, createUserEndpoints } from "../src/index.js";
import { Relay } from "./relay.js";
import { ClerkSession, control, createUser } from "./servers.js";

it("a token is renewed after its signing key was removed", async () => {
  const [session, relay] = [new ClerkSession(await createUser()), await Relay.start()];
  const users = createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken: session.getToken }));
  await users.me();

  await control("rotate");
  session.refresh();
  await users.me();
  const late = new ClerkSession(session.user, { fault: "expired" });
  const others = createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken: late.getToken }));
  await others.me();

  expect(late.renewals).toBe(1);
});
