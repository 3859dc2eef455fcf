// Write src/generated from the API's schema, and tests/generated from the schema of the tests' own resource.
// With --check: write nothing, and fail if a committed file differs.
// With SCHEMA=examples/nextjs/openapi.yaml: write that API alone, to .cache/generated, from which copy.mjs takes it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runNode } from "./node.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const TARGETS = process.env.SCHEMA
  ? [{ schema: resolve("../..", process.env.SCHEMA), folder: ".cache/generated" }]
  : [
      { schema: "../../api/openapi.yaml", folder: "src/generated" },
      { schema: "./tests/openapi.yaml", folder: "tests/generated", source: "../../src/" },
    ];
// Code that reads or invalidates data need not have the client at hand, and a mutation has its client already.
const KEY_OPTIONS =
  "type KeyOptions<T extends TDataShape> = Omit<Options<T>, 'client'> & Partial<Pick<Options<T>, 'client'>>;";
const MUTATION_DEFAULTS =
  "type MutationDefaults<T extends TDataShape> = Partial<Options<T>> & Pick<Options<T>, 'client'>;";
const QUERIES = "@tanstack/react-query.gen.ts";

const check = process.argv.includes("--check");
for (const { schema, folder, source } of TARGETS) {
  const output = check ? mkdtempSync("node_modules/.generated-") : folder;
  try {
    generate(schema, output);
    completeQueries(output, source ? `../${source}` : "../../");
    hideClient(output);
    rmSync(join(output, "client.gen.ts")); // a client of all modules, without an address
    if (source) shareRuntime(output, `${source}generated/client/index.js`);
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
  runNode([run, "--input", schema, "--output", folder, "--silent", "--no-log-file"]);
}

// The plugin for TanStack Query knows neither which errors the client throws nor whose data it is.
function completeQueries(folder, source) {
  const types = readFileSync(join(folder, "types.gen.ts"), "utf8");
  const errors = [...types.matchAll(/^export type (\w+Error) = \1s\[/gm)].map(([, name]) => name);
  const text = readFileSync(join(folder, QUERIES), "utf8");
  const known = new RegExp(`\\b(${errors.join("|")})\\b`, "g");
  edit(join(folder, QUERIES), [
    [
      /^import \{ client \} from .*\n/m,
      `import type { CallError } from '${source}errors.js';\nimport type { TDataShape } from '${source}generated/client/index.js';\n`,
    ],
    [/^import type \{.*\} from '\.\.\/types\.gen\.js';/m, (line) => withoutNames(line, errors)],
    [known, "CallError"],
    ["baseUrl: options?.baseUrl || (options?.client ?? client).getConfig().baseUrl", "...keyOf(options)"],
    [
      "const createQueryKey",
      `/**
 * The address and the user of the client. A key without a client matches those of all users.
 */
const keyOf = (options?: Partial<Options>) => {
    const { baseUrl, userId } = options?.client?.getConfig() ?? {};
    return { ...((options?.baseUrl ?? baseUrl) && { baseUrl: options?.baseUrl ?? baseUrl }), ...(userId && { userId }) };
};

const createQueryKey`,
    ],
    ["        _id: string;\n", "        _id: string;\n        userId?: string;\n"],
    [
      /QueryKey = \((options\??): Options<(\w+)>\)(.* => createQueryKey\('\w+', options)/g,
      "QueryKey = ($1: KeyOptions<$2>)$3 as Options<$2>",
    ],
    ["export type QueryKey<", `${KEY_OPTIONS}\n\nexport type QueryKey<`],
    ...(text.includes("UseMutationOptions")
      ? [
          [/\(options\?: Partial<Options<(\w+)>>\)/g, "(options: MutationDefaults<$1>)"],
          [/(UseMutationOptions<\w+, CallError, )Options<(\w+)>>/g, "$1Omit<Options<$2>, 'client'>>"],
          ["const createQueryKey", `${MUTATION_DEFAULTS}\n\nconst createQueryKey`],
        ]
      : []),
  ]);
}

// The options of a call name its client. Deno takes the option `client` of a Request for one of its own HTTP clients.
function hideClient(folder) {
  edit(join(folder, "client/client.gen.ts"), [
    [
      "const requestInit: ReqInit = {\n        redirect: 'follow',\n        ...opts,\n",
      "const requestInit: ReqInit & { client: undefined } = {\n        redirect: 'follow',\n        ...opts,\n        client: undefined,\n",
    ],
  ]);
}

function withoutNames(line, names) {
  const left = line
    .match(/\{(.*)\}/)[1]
    .split(",")
    .map((name) => name.trim())
    .filter((name) => !names.includes(name));
  return line.replace(/\{.*\}/, `{ ${left.join(", ")} }`);
}

// Keep the operations, types and validators alone, on the runtime that is generated for the product.
function shareRuntime(folder, runtime) {
  for (const name of ["client", "core", "index.ts"]) rmSync(join(folder, name), { recursive: true });
  edit(join(folder, "sdk.gen.ts"), [["./client/index.js", runtime]]);
}

function edit(file, changes) {
  let text = readFileSync(file, "utf8");
  for (const [from, to] of changes) {
    const changed = text.replaceAll(
      from instanceof RegExp && !from.global ? new RegExp(from, "gm") : from,
      to,
    );
    if (changed === text)
      throw new Error(`${file} does not hold ${from}: the generator writes something else now.`);
    text = changed;
  }
  writeFileSync(file, text);
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
