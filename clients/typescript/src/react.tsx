"use client";
import { type QueryClientConfig, QueryClientProvider } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useInsertionEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { type ApiClientOptions, createApiClient } from "./client.js";
import type { Client } from "./generated/client/index.js";
import { createQueryClient } from "./queries.js";

export { createQueryClient };

/** Return one client for the life of the component, or until another user signs in. It calls the functions of the
 * latest render.
 *
 * `const { isLoaded, userId, getToken } = useAuth()`, then `useApiClient({ baseUrl, userId, getToken })`: use the
 * client once `isLoaded` is true. */
export function useApiClient(options: ApiClientOptions): Client {
  const latest = useRef(options);
  useInsertionEffect(() => {
    latest.current = options;
  });
  const { baseUrl, userId, onShape, retries, timeout, budget } = options;
  return useMemo(
    () =>
      createApiClient({
        ...{ baseUrl, userId, onShape, retries, timeout, budget },
        fetch: (...request) => (latest.current.fetch ?? globalThis.fetch)(...request),
        getToken: (tokenOptions) => latest.current.getToken(tokenOptions),
        onSignedOut: () => latest.current.onSignedOut?.(),
        onUserRefused: (error) => latest.current.onUserRefused?.(error),
      }),
    [baseUrl, userId, onShape, retries, timeout, budget],
  );
}

export interface ApiProviderProps extends ApiClientOptions {
  /** `userId` of Clerk's `useAuth()`: undefined while Clerk loads, null for a visitor. */
  userId: string | null | undefined;
  /** Options for the cache of each user, as `createQueryClient` takes them. */
  queryConfig?: QueryClientConfig;
  children?: ReactNode;
}

const ApiContext = createContext<Client | undefined>(undefined);

/** Provide an API client and a TanStack Query cache that belong to one user.
 *
 * When another user signs in, everything below is rendered anew with an empty cache and an empty state, in the same
 * render: no frame shows data of the previous user. */
export function ApiProvider({ queryConfig, children, ...options }: ApiProviderProps): ReactNode {
  return (
    <UserProvider key={options.userId ?? ""} queryConfig={queryConfig} options={options}>
      {children}
    </UserProvider>
  );
}

interface UserProviderProps {
  options: ApiClientOptions;
  queryConfig: QueryClientConfig | undefined;
  children: ReactNode;
}

function UserProvider({ options, queryConfig, children }: UserProviderProps): ReactNode {
  const client = useApiClient(options);
  const [queryClient] = useState(() => createQueryClient(queryConfig));
  return (
    <ApiContext.Provider value={client}>
      <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>
    </ApiContext.Provider>
  );
}

/** Return the client of the nearest `ApiProvider`. */
export function useApi(): Client {
  const client = useContext(ApiContext);
  if (!client) throw new Error("useApi needs an <ApiProvider> above the component.");
  return client;
}
