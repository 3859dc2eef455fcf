import { isTransient } from "./errors.js";
import type { UsersListData } from "./generated/types.gen.js";
import type { UserEndpoints } from "./users.js";

/** The client's rules for retries, for queries over a client without retries (`checkedClient`). */
export const retry = (failures: number, error: unknown): boolean => failures < 3 && isTransient(error);

/** Return options for `useQuery` and similar hooks. They do not retry, because the client does. */
export const userQueries = (users: UserEndpoints) => ({
  me: () => options(["me"], (signal) => users.me({ signal })),
  session: () => options(["session"], (signal) => users.session({ signal })),
  list: (query: UsersListData["query"] = {}) =>
    options(["users", query], (signal) => users.list(query, { signal })),
  get: (id: string) => options(["users", id], (signal) => users.get(id, { signal })),
});

function options<T>(key: readonly unknown[], call: (signal: AbortSignal) => Promise<T>) {
  return {
    queryKey: ["api", ...key],
    queryFn: ({ signal }: { signal: AbortSignal }) => call(signal),
    retry: false,
  };
}
