import { useInsertionEffect, useMemo, useRef } from "react";
import { type ApiClientOptions, createApiClient } from "./client.js";
import type { Client } from "./generated/client/index.js";

/** Give one client for the life of the component, whatever functions come with later renders:
 * `useApiClient({ baseUrl, getToken: useAuth().getToken })`. */
export function useApiClient(options: ApiClientOptions): Client {
  const latest = useRef(options);
  useInsertionEffect(() => {
    latest.current = options;
  });
  const { baseUrl } = options;
  return useMemo(
    () =>
      createApiClient({
        baseUrl,
        fetch: (...request) => (latest.current.fetch ?? globalThis.fetch)(...request),
        getToken: (asked) => latest.current.getToken(asked),
        onSignedOut: () => latest.current.onSignedOut?.(),
      }),
    [baseUrl],
  );
}
