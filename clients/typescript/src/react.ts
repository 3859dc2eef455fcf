import { useInsertionEffect, useMemo, useRef } from "react";
import { type ApiClientOptions, createApiClient } from "./client.js";
import type { Client } from "./generated/client/index.js";

/** Return one client for the life of the component. It calls the functions of the latest render.
 *
 * `const { isLoaded, getToken } = useAuth()`, then `useApiClient({ baseUrl, getToken })`: use the client once
 * `isLoaded` is true. */
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
        getToken: (tokenOptions) => latest.current.getToken(tokenOptions),
        onSignedOut: () => latest.current.onSignedOut?.(),
      }),
    [baseUrl],
  );
}
