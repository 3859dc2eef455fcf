// Write the client into the source tree of a frontend: OUT=../web/src/api node scripts/copy.mjs
// With SCHEMA: with the operations that generate.mjs wrote for that schema.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HEADER = "/* eslint-disable */\n// Written by `make client OUT=...`: changes here are lost.\n";
const source = fileURLToPath(new URL("../src", import.meta.url));
const cache = fileURLToPath(new URL("../.cache", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));
if (!process.env.OUT) throw new Error("OUT is not set: make client OUT=../web/src/api");
const target = resolve(root, process.env.OUT);

rmSync(join(target, "generated"), { recursive: true, force: true }); // operations that the API no longer has
for (const name of readdirSync(source, { recursive: true })) {
  if (!statSync(join(source, name)).isFile()) continue;
  const isGenerated = name.startsWith("generated");
  const text = readFileSync(join(process.env.SCHEMA && isGenerated ? cache : source, name), "utf8");
  mkdirSync(dirname(join(target, name)), { recursive: true });
  // Bundlers that read TypeScript find "./errors", and not all of them "./errors.js".
  writeFileSync(
    join(target, name),
    HEADER + text.replace(/((?:from|module) ["'].[^"']*)\.js(["'])/g, "$1$2"),
  );
}
console.log(
  `Written to ${target}. It needs zod, and for ./api and ./react also @tanstack/react-query and react.`,
);
