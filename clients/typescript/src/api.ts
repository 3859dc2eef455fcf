// Everything that is generated from the API's schema: operations, types, validators (z...) and TanStack Query options.
export * from "./generated/@tanstack/react-query.gen.js";
export * from "./generated/index.js";
export * from "./generated/zod.gen.js";
