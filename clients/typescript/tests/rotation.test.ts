import { expect, it } from "vitest";
import { createApiClient, createUserEndpoints } from "../src/index.js";
import { Relay } from "./relay.js";
import { ClerkSession, newcomer, order } from "./world.js";

it("a token whose key was withdrawn is renewed", async () => {
  const [session, relay] = [new ClerkSession(await newcomer()), await Relay.start()];
  const users = createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken: session.getToken }));
  await users.me();

  await order("rotate");
  session.refresh();
  await users.me();
  const late = new ClerkSession(session.who, { fault: "expired" });
  const others = createUserEndpoints(createApiClient({ baseUrl: relay.url, getToken: late.getToken }));
  await others.me();

  expect(late.renewals).toBe(1);
});
