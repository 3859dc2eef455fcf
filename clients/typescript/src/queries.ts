import { type DefaultOptions, QueryClient, type QueryClientConfig } from "@tanstack/react-query";

/** Return a QueryClient that leaves retries to the API client: it knows what is transient. Mutations are never retried.
 *
 * What `config` says wins. */
export function createQueryClient(config: QueryClientConfig = {}): QueryClient {
  const { queries, mutations, ...others } = config.defaultOptions ?? {};
  const defaultOptions: DefaultOptions = {
    ...others,
    queries: { retry: false, ...queries },
    mutations: { retry: false, ...mutations },
  };
  return new QueryClient({ ...config, defaultOptions });
}
