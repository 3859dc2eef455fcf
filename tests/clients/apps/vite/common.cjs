// The package in CommonJS, as Jest loads it.
const { ApiError, createApiClient } = require("django-clerk-sync-client");
const { getMe, getMeQueryKey } = require("django-clerk-sync-client/api");
require("django-clerk-sync-client/react");

const fetch = async () => new Response('{"type": "client_error", "errors": []}', { status: 404 });
const client = createApiClient({ baseUrl: "http://127.0.0.1:8000", getToken: async () => null, fetch });
getMe({ client, throwOnError: true }).catch((error) => {
  console.log(error instanceof ApiError, error.code, getMeQueryKey({ client })[0]._id);
});
