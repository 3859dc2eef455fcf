import type { Client } from "./generated/client/index.js";
import { meRetrieve, sessionRetrieve, usersList, usersRetrieve } from "./generated/sdk.gen.js";
import type { UsersListData } from "./generated/types.gen.js";

export type CallOptions = Pick<RequestInit, "signal" | "headers" | "cache">;

/** The API's calls over any client. Each gives the validated body, or rejects. */
export function createUserEndpoints(client: Client) {
  const ours = { client, throwOnError: true } as const;
  return {
    me: async (options?: CallOptions) => (await meRetrieve({ ...options, ...ours })).data,
    session: async (options?: CallOptions) => (await sessionRetrieve({ ...options, ...ours })).data,
    /** For staff. */
    list: async (query?: UsersListData["query"], options?: CallOptions) =>
      (await usersList({ ...options, ...ours, query })).data,
    /** For staff. */
    get: async (id: string, options?: CallOptions) =>
      (await usersRetrieve({ ...options, ...ours, path: { id } })).data,
  };
}

export type UserEndpoints = ReturnType<typeof createUserEndpoints>;
