// Render a page on the React of this app: a second React fails with "Invalid hook call".
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { ApiProvider, useApi } from "django-clerk-sync-client/react";

const options = { baseUrl: "http://127.0.0.1:8000", userId: "user_1", getToken: async () => null };
const Address = () => useApi().getConfig().baseUrl;
console.log(renderToString(createElement(ApiProvider, options, createElement(Address))));
