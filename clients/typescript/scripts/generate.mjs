// Write src/generated from the API's schema, and tests/generated from the schema of the tests' own resource.
// With --check: write nothing, and fail if a committed file differs.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const TARGETS = [
  { schema: "../../api/openapi.yaml", folder: "src/generated" },
  {
    schema: "./tests/openapi.yaml",
    folder: "tests/generated",
    runtime: "../../src/generated/client/index.js",
  },
];
const GENERATOR_NODE = "node@22.23.3"; // the generator needs 22.18; a newer installed Node is used as it is

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const check = process.argv.includes("--check");
for (const { schema, folder, runtime } of TARGETS) {
  const output = check ? mkdtempSync("node_modules/.generated-") : folder;
  try {
    generate(schema, output);
    if (runtime) shareRuntime(output, runtime);
    if (check && !isSame(folder, output)) {
      console.error(`${folder} differs from what ${schema} generates: run make client and commit it.`);
      process.exitCode = 1;
    }
  } finally {
    if (check) rmSync(output, { recursive: true });
  }
}

function generate(schema, folder) {
  const generator = createRequire(import.meta.url).resolve("@hey-api/openapi-ts/package.json");
  const run = join(generator, "../bin/run.js");
  const command = [run, "--input", schema, "--output", folder, "--silent", "--no-log-file"];
  const [major, minor] = process.versions.node.split(".").map(Number);
  const isNewEnough = major > 22 || (major === 22 && minor >= 18);
  const [program, ...before] = isNewEnough
    ? [process.execPath]
    : ["npx", "--yes", "--package", GENERATOR_NODE, "--", "node"];
  const { status, error } = spawnSync(program, [...before, ...command], { stdio: "inherit" });
  if (status !== 0) throw new Error("The generator failed: see the lines above.", { cause: error });
}

// Keep the operations, types and validators alone, on the runtime that is generated for the product.
function shareRuntime(folder, runtime) {
  for (const name of ["client", "core", "client.gen.ts", "index.ts"]) {
    rmSync(join(folder, name), { recursive: true });
  }
  const operations = join(folder, "sdk.gen.ts");
  writeFileSync(operations, readFileSync(operations, "utf8").replaceAll("./client/index.js", runtime));
}

function isSame(one, other) {
  const [left, right] = [readContents(one), readContents(other)];
  return left.size === right.size && [...left].every(([name, text]) => right.get(name) === text);
}

function readContents(folder) {
  const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
  const plain = files.filter((file) => statSync(file).isFile());
  return new Map(plain.map((file) => [relative(folder, file), readFileSync(file, "utf8")]));
}
