import { isTransient } from "./errors.js";
import type { UsersListData } from "./generated/types.gen.js";
import type { UserEndpoints } from "./users.js";

/** The client's rules, for queries over a client without patience of its own (`checkedClient`). */
export const retry = (failures: number, error: unknown): boolean => failures < 3 && isTransient(error);

/** Options for `useQuery` and its kin. They do not retry: the client has done so already. */
export const userQueries = (users: UserEndpoints) => ({
  me: () => options(["me"], (signal) => users.me({ signal })),
  session: () => options(["session"], (signal) => users.session({ signal })),
  list: (query: UsersListData["query"] = {}) =>
    options(["users", query], (signal) => users.list(query, { signal })),
  get: (id: string) => options(["users", id], (signal) => users.get(id, { signal })),
});

function options<T>(key: readonly unknown[], ask: (signal: AbortSignal) => Promise<T>) {
  return {
    queryKey: ["api", ...key],
    queryFn: ({ signal }: { signal: AbortSignal }) => ask(signal),
    retry: false,
  };
}
