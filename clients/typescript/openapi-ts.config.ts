import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "../../api/openapi.yaml",
  output: { path: "src/generated", module: { extension: ".js" } },
  plugins: [
    "@hey-api/client-fetch",
    "@hey-api/typescript",
    { name: "zod", compatibilityVersion: "mini", requests: false, dates: { offset: true } },
    // No client created at import: it would have neither an address nor a token.
    { name: "@hey-api/sdk", client: false, validator: { response: "zod" } },
  ],
});
