import { defineConfig } from "@hey-api/openapi-ts";
import { createNaming } from "./scripts/names.mjs";

const rename = createNaming();

export default defineConfig({
  input: "../../api/openapi.yaml",
  output: { path: "src/generated", module: { extension: ".js" } },
  parser: {
    patch: {
      operations: (_method, _path, operation) => {
        if (operation.operationId) operation.operationId = rename(operation.operationId);
      },
    },
  },
  plugins: [
    "@hey-api/client-fetch",
    "@hey-api/typescript",
    { name: "zod", compatibilityVersion: "mini", requests: false, dates: { offset: true } },
    // No client created at import: it would have neither an address nor a token.
    { name: "@hey-api/sdk", client: false, validator: { response: "zod" } },
    "@tanstack/react-query",
  ],
});
