// Writes src/generated anew from the API's schema. With --check it only says whether that would change anything.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const COMMITTED = "src/generated";
const GENERATOR_NODE = "node@22.23.3"; // the generator needs 22.18; a newer one of your own is taken as it is

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const check = process.argv.includes("--check");
const output = check ? mkdtempSync("node_modules/.generated-") : COMMITTED;
try {
  generate(output);
  if (check && !same(COMMITTED, output)) {
    console.error("src/generated is not what api/openapi.yaml says: run make client and commit it.");
    process.exitCode = 1;
  }
} finally {
  if (check) rmSync(output, { recursive: true });
}

function generate(folder) {
  const generator = createRequire(import.meta.url).resolve("@hey-api/openapi-ts/package.json");
  const command = [join(generator, "../bin/run.js"), "--output", folder, "--silent", "--no-log-file"];
  const [major, minor] = process.versions.node.split(".").map(Number);
  const isNewEnough = major > 22 || (major === 22 && minor >= 18);
  const [program, ...before] = isNewEnough
    ? [process.execPath]
    : ["npx", "--yes", "--package", GENERATOR_NODE, "--", "node"];
  const { status, error } = spawnSync(program, [...before, ...command], { stdio: "inherit" });
  if (status !== 0) throw new Error("The generator failed: see the lines above.", { cause: error });
}

function same(one, other) {
  const [left, right] = [contents(one), contents(other)];
  return left.size === right.size && [...left].every(([name, text]) => right.get(name) === text);
}

function contents(folder) {
  const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
  const plain = files.filter((file) => statSync(file).isFile());
  return new Map(plain.map((file) => [relative(folder, file), readFileSync(file, "utf8")]));
}
