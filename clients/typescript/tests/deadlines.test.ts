/** Tests that wait for seconds, run concurrently. */
import { describe, expect, it, vi } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, createUser, EXPIRED, rejectionOf } from "./servers.js";

async function setUp(...script: Step[]) {
  return clientOf(new ClerkSession(await createUser()).getToken, ...script);
}

async function clientOf(getToken: GetToken, ...script: Step[]) {
  const [relay, onSignedOut] = [await Relay.start(...script), vi.fn()];
  const client = createApiClient({ baseUrl: relay.url, getToken, onSignedOut });
  return { relay, onSignedOut, users: createUserEndpoints(client) };
}

function busyFor(seconds: string): Step {
  return { status: 503, headers: { "Retry-After": seconds } };
}

describe.concurrent("Retry-After", () => {
  it("is respected in seconds", async () => {
    const { relay, users } = await setUp(busyFor("2"));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1990);
    expect(relay.gaps[0]).toBeLessThan(10_000);
  });

  it("is respected as a date", async () => {
    const { relay, users } = await setUp(busyFor(new Date(Date.now() + 4000).toUTCString()));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1500);
    expect(relay.gaps[0]).toBeLessThan(10_000);
  });

  it("is respected after a 429", async () => {
    const { relay, users } = await setUp({ status: 429, headers: { "Retry-After": "2" } });

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1990);
  });

  it("is limited to 20 seconds", async () => {
    const { relay, users } = await setUp(busyFor("3600"));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(19_900);
    expect(relay.gaps[0]).toBeLessThan(35_000);
  });
});

describe.concurrent("a getToken", () => {
  it("that hangs fails after ten seconds, and the next call succeeds", async () => {
    const session = new ClerkSession(await createUser());
    let hangs = true;
    const { users, relay, onSignedOut } = await clientOf((options) =>
      hangs ? new Promise(() => {}) : session.getToken(options),
    );

    const began = performance.now();
    expect(await rejectionOf(users.me())).toMatchObject({ name: "TokenUnavailable" });
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(relay.seen).toHaveLength(0);

    hangs = false;
    await users.me();
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("that hangs during a renewal fails all waiting calls and is no sign-out", async () => {
    const session = new ClerkSession(await createUser(), EXPIRED);
    let renewals = 0;
    const { users, onSignedOut } = await clientOf((options) => {
      if (!options?.skipCache) return session.getToken();
      renewals += 1;
      return new Promise(() => {});
    });

    const errors = await Promise.all([users.me(), users.me(), users.session()].map(rejectionOf));

    for (const error of errors) expect(error).toMatchObject({ name: "TokenUnavailable" });
    expect(renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("that hangs at the second attempt is no sign-out", async () => {
    const session = new ClerkSession(await createUser());
    let asks = 0;
    const { users, relay, onSignedOut } = await clientOf((options) => {
      asks += 1;
      if (asks === 2) return new Promise(() => {});
      return asks === 1 ? Promise.resolve(null) : session.getToken(options);
    });

    expect(await rejectionOf(users.me())).toMatchObject({ name: "TokenUnavailable" });
    expect(relay.seen).toHaveLength(1);

    await users.me();
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
