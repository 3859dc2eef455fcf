/** What takes its time, all at once. */
import { describe, expect, it, vi } from "vitest";
import { createApiClient, createUserEndpoints, type GetToken } from "../src/index.js";
import { Relay, type Step } from "./relay.js";
import { ClerkSession, EXPIRED, failure, newcomer } from "./world.js";

async function visit(...script: Step[]) {
  return clientOf(new ClerkSession(await newcomer()).getToken, ...script);
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
  it("is waited for, in seconds", async () => {
    const { relay, users } = await visit(busyFor("2"));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1990);
    expect(relay.gaps[0]).toBeLessThan(10_000);
  });

  it("is waited for, as a date", async () => {
    const { relay, users } = await visit(busyFor(new Date(Date.now() + 4000).toUTCString()));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1500);
    expect(relay.gaps[0]).toBeLessThan(10_000);
  });

  it("is heard from a 429", async () => {
    const { relay, users } = await visit({ status: 429, headers: { "Retry-After": "2" } });

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(1990);
  });

  it("of an hour is cut to twenty seconds", async () => {
    const { relay, users } = await visit(busyFor("3600"));

    await users.me();

    expect(relay.gaps[0]).toBeGreaterThan(19_900);
    expect(relay.gaps[0]).toBeLessThan(35_000);
  });
});

describe.concurrent("a getToken", () => {
  it("that says nothing is given up after ten seconds, and the next call works", async () => {
    const session = new ClerkSession(await newcomer());
    let hangs = true;
    const { users, relay, onSignedOut } = await clientOf((options) =>
      hangs ? new Promise(() => {}) : session.getToken(options),
    );

    const began = performance.now();
    expect(await failure(users.me())).toMatchObject({ name: "TokenUnavailable" });
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(relay.seen).toHaveLength(0);

    hangs = false;
    await users.me();
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("that says nothing to a renewal is given up for all who wait, who are still signed in", async () => {
    const session = new ClerkSession(await newcomer(), EXPIRED);
    let renewals = 0;
    const { users, onSignedOut } = await clientOf((options) => {
      if (!options?.skipCache) return session.getToken();
      renewals += 1;
      return new Promise(() => {});
    });

    const errors = await Promise.all([users.me(), users.me(), users.session()].map(failure));

    for (const error of errors) expect(error).toMatchObject({ name: "TokenUnavailable" });
    expect(renewals).toBe(1);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("that hangs when it is asked a second time is no sign-out", async () => {
    const session = new ClerkSession(await newcomer());
    let asked = 0;
    const { users, relay, onSignedOut } = await clientOf((options) => {
      asked += 1;
      if (asked === 2) return new Promise(() => {});
      return asked === 1 ? Promise.resolve(null) : session.getToken(options);
    });

    expect(await failure(users.me())).toMatchObject({ name: "TokenUnavailable" });
    expect(relay.seen).toHaveLength(1);

    await users.me();
    expect(onSignedOut).not.toHaveBeenCalled();
  });
});
