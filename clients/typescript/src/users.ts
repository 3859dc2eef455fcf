import type { Client } from "./generated/client/index.js";
import { getMe, getSession, getUser, listUsers } from "./generated/sdk.gen.js";
import type { ListUsersData } from "./generated/types.gen.js";
import type { Patience } from "./patience.js";

export type CallOptions = Pick<RequestInit, "signal" | "headers" | "cache"> & Patience;

/** Return the API's operations over a client. Each resolves with the validated body, or rejects. */
export function createUserEndpoints(client: Client) {
  const fixed = { client, throwOnError: true } as const;
  return {
    me: async (options?: CallOptions) => (await getMe({ ...options, ...fixed })).data,
    session: async (options?: CallOptions) => (await getSession({ ...options, ...fixed })).data,
    /** Staff only. */
    list: async (query?: ListUsersData["query"], options?: CallOptions) =>
      (await listUsers({ ...options, ...fixed, query })).data,
    /** Staff only. */
    get: async (id: string, options?: CallOptions) =>
      (await getUser({ ...options, ...fixed, path: { id } })).data,
  };
}

export type UserEndpoints = ReturnType<typeof createUserEndpoints>;
