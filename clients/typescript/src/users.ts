import type { Client } from "./generated/client/index.js";
import { meRetrieve, sessionRetrieve, usersList, usersRetrieve } from "./generated/sdk.gen.js";
import type { UsersListData } from "./generated/types.gen.js";

export type CallOptions = Pick<RequestInit, "signal" | "headers" | "cache">;

/** Return the API's operations over a client. Each resolves with the validated body, or rejects. */
export function createUserEndpoints(client: Client) {
  const fixed = { client, throwOnError: true } as const;
  return {
    me: async (options?: CallOptions) => (await meRetrieve({ ...options, ...fixed })).data,
    session: async (options?: CallOptions) => (await sessionRetrieve({ ...options, ...fixed })).data,
    /** Staff only. */
    list: async (query?: UsersListData["query"], options?: CallOptions) =>
      (await usersList({ ...options, ...fixed, query })).data,
    /** Staff only. */
    get: async (id: string, options?: CallOptions) =>
      (await usersRetrieve({ ...options, ...fixed, path: { id } })).data,
  };
}

export type UserEndpoints = ReturnType<typeof createUserEndpoints>;
