/** The real API and the local Clerk emulator. tests/clients/test_typescript.py starts both and passes their addresses. */
import { setTimeout as sleep } from "node:timers/promises";

export const API = readAddress("API_URL");
const CLERK = readAddress("CLERK_URL");

/** Options of the emulator: the lifetime in seconds, or what is wrong with the token. */
export interface TokenOptions {
  expires?: number;
  fault?: "expired" | "not_yet" | "pending" | "wrong_azp";
  claims?: Record<string, unknown>;
}

export const EXPIRED: TokenOptions = { fault: "expired" };
export const STAFF = "grace";

/** Call the control interface of the emulator. */
export async function control<Result>(path: string, body: object = {}): Promise<Result> {
  const response = await fetch(`${CLERK}/_dev/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Result;
}

export async function mintToken(user: string, options: TokenOptions = {}): Promise<string> {
  return (await control<{ token: string }>(`people/${user}/token`, options)).token;
}

let created = 0;

/** Create a user that no other test uses, and return the handle. */
export async function createUser(): Promise<string> {
  created += 1;
  const handle = `user-${process.pid}-${Date.now()}-${created}`;
  await control("people", { handle });
  return handle;
}

/** Update or delete a user in Clerk, and wait until the API has accepted the webhook. */
export async function changeUser(
  user: string,
  action: "update" | "delete",
  fields: object = {},
): Promise<void> {
  const { svix_id } = await control<{ svix_id: string }>(`people/${user}/${action}`, fields);
  for (let tries = 0; tries < 100; tries++) {
    const response = await fetch(`${CLERK}/_dev/deliveries/${svix_id}`);
    const { attempts } = (await response.json()) as { attempts: { status: number }[] };
    if (attempts.some(({ status }) => status === 200)) return;
    await sleep(50);
  }
  throw new Error(`The API has not accepted the webhook of ${action}.`);
}

/** A user's session in a browser: holds one token, and returns another one when asked to skip its cache. */
export class ClerkSession {
  renewals = 0;
  #token: Promise<string | null>;

  /** `first` is the token at the start, `next` the result of each renewal. With null there is no token. */
  constructor(
    readonly user: string,
    first: TokenOptions | null = {},
    readonly next: TokenOptions | null = {},
  ) {
    this.#token = this.#mint(first);
  }

  readonly getToken = (options?: { skipCache?: boolean }): Promise<string | null> => {
    if (options?.skipCache) {
      this.renewals += 1;
      this.#token = this.#mint(this.next);
    }
    return this.#token;
  };

  /** Renew the token without a request of the client, as Clerk does in the background. */
  refresh(): void {
    this.#token = this.#mint(this.next);
  }

  async #mint(options: TokenOptions | null): Promise<string | null> {
    return options && mintToken(this.user, options);
  }
}

/** Wait up to 5 s until a condition holds. */
export async function waitUntil(isReached: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isReached(); tries++) await sleep(10);
  if (!isReached()) throw new Error("The condition does not hold after 5 s.");
}

/** Return what a call rejects with. */
export async function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("The call has succeeded.");
}

function readAddress(name: string): string {
  const address = process.env[name];
  if (!address) throw new Error(`${name} is not set: run pytest tests/clients, which starts the servers.`);
  return address;
}
