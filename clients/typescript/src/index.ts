export type { ServerApiClientOptions } from "./client.js";
export { type ApiClientOptions, checkedClient, createApiClient, createServerApiClient } from "./client.js";
export { AccountChanged, ApiError, ApiShapeError, isTransient, TokenUnavailable } from "./errors.js";
export type { Fetch, GetToken } from "./fetch.js";
export type { Client } from "./generated/client/index.js";
export type { PaginatedUserList, Session, User } from "./generated/types.gen.js";
export { type CallOptions, createUserEndpoints, type UserEndpoints } from "./users.js";
