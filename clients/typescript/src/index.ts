export type { ApiClientOptions, ServerApiClientOptions } from "./client.js";
export { checkedClient, createApiClient, createServerApiClient } from "./client.js";
export type { CallError, ErrorItem } from "./errors.js";
export {
  AccountChanged,
  ApiError,
  ApiShapeError,
  isTransient,
  TimeoutError,
  TokenUnavailable,
} from "./errors.js";
export type { GetToken } from "./fetch.js";
export type { Client } from "./generated/client/index.js";
export type { PaginatedUserList, Session, User } from "./generated/types.gen.js";
export { byPage } from "./pages.js";
export type { Fetch, Patience } from "./patience.js";
export type { OnShape } from "./shape.js";
export { type CallOptions, createUserEndpoints, type UserEndpoints } from "./users.js";
