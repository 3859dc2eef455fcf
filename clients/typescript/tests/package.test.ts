import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

/** Bundle what a module exports, as a frontend's bundler does, and return its bytes and the names of its inputs. */
function bundle(code: string) {
  const result = buildSync({
    stdin: { contents: code, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    metafile: true,
    external: ["react", "@tanstack/react-query"],
  });
  const used = Object.values(result.metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const names = used.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([name]) => name);
  return { size: gzipSync(result.outputFiles[0]?.contents ?? "").length, names };
}

const NAMES = "createApiClient, createServerApiClient, ApiError, AccountChanged, isTransient, byPage";

it("the core is at most 8 KB gzipped, and holds no validator", () => {
  const { size, names } = bundle(`export { ${NAMES} } from "./src/index.js"`);

  expect(size).toBeGreaterThan(1000);
  expect(size).toBeLessThan(8000);
  expect(names.filter((name) => /zod/.test(name))).toEqual([]);
});

it("isTransient alone is below 1 KB", () => {
  const { size, names } = bundle('export { isTransient } from "./src/index.js"');

  expect(size).toBeLessThan(1000);
  expect(names).toEqual(["src/errors.ts"]);
});

it("everything is smaller than 20 KB gzipped", () => {
  const all = ["index", "api", "react"].map((name) => `export * from "./src/${name}.js";`).join("");

  expect(bundle(all).size).toBeLessThan(20_000);
});

it("the client depends on no Clerk package", () => {
  expect(read("package-lock.json")).not.toContain("@clerk/");
});

it("the lock file names no package host", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

it("the main entry point imports no optional peer dependency", () => {
  for (const name of ["index", "client", "fetch", "patience", "users", "errors", "shape", "pages"]) {
    expect(read(`src/${name}.ts`)).not.toMatch(/from "(react|@tanstack)/);
  }
});
