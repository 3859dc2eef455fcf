/** The real API and the stand-in for Clerk; tests/clients/test_typescript.py starts them and says where they are. */
import { setTimeout as sleep } from "node:timers/promises";

export const API = place("API_URL");
const CLERK = place("CLERK_URL");

/** As the stand-in takes them: seconds from now, or what shall be wrong. */
export interface TokenOptions {
  expires?: number;
  fault?: "expired" | "not_yet" | "pending" | "wrong_azp";
}

export const EXPIRED: TokenOptions = { fault: "expired" };
export const STAFF = "grace";

/** Ask the stand-in to do something, as its commands do. */
export async function order<Answer>(path: string, body: object = {}): Promise<Answer> {
  const response = await fetch(`${CLERK}/_dev/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Answer;
}

export async function mint(who: string, options: TokenOptions = {}): Promise<string> {
  return (await order<{ token: string }>(`people/${who}/token`, options)).token;
}

let signedUp = 0;

/** Sign somebody up whom no other test knows, and give their handle. */
export async function newcomer(): Promise<string> {
  signedUp += 1;
  const handle = `visitor-${process.pid}-${Date.now()}-${signedUp}`;
  await order("people", { handle });
  return handle;
}

/** Change or delete somebody in Clerk, and wait until the webhook has come to the API. */
export async function change(who: string, action: "update" | "delete", fields: object = {}): Promise<void> {
  const { svix_id } = await order<{ svix_id: string }>(`people/${who}/${action}`, fields);
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`${CLERK}/_dev/deliveries/${svix_id}`);
    const { attempts } = (await answer.json()) as { attempts: { status: number }[] };
    if (attempts.some(({ status }) => status === 200)) return;
    await sleep(50);
  }
  throw new Error(`The webhook of ${action} has not come.`);
}

/** A browser's session with Clerk: holds one token, and gives another one when told to skip its cache. */
export class ClerkSession {
  asked = 0;
  renewals = 0;
  #token: Promise<string | null>;

  /** `first` is the token held at the start, `next` what each renewal gives; null is a person who is signed out. */
  constructor(
    readonly who: string,
    first: TokenOptions | null = {},
    readonly next: TokenOptions | null = {},
  ) {
    this.#token = this.#make(first);
  }

  readonly getToken = (options?: { skipCache?: boolean }): Promise<string | null> => {
    this.asked += 1;
    if (options?.skipCache) {
      this.renewals += 1;
      this.#token = this.#make(this.next);
    }
    return this.#token;
  };

  /** Renew behind the client's back, as Clerk does on its own. */
  refresh(): void {
    this.#token = this.#make(this.next);
  }

  async #make(options: TokenOptions | null): Promise<string | null> {
    return options && mint(this.who, options);
  }
}

/** Wait until something is so. */
export async function until(so: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !so(); tries++) await sleep(10);
  if (!so()) throw new Error("It has not come to pass.");
}

/** Give what a call rejects with. */
export async function failure(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("The call has succeeded.");
}

function place(name: string): string {
  const address = process.env[name];
  if (!address)
    throw new Error(`${name} is not set: pytest tests/clients starts the servers and these tests.`);
  return address;
}
