import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

it("everything a browser needs is less than 30 KB gzipped", () => {
  const { outputFiles } = buildSync({
    entryPoints: ["src/index.ts", "src/query.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    outdir: "nowhere",
  });

  const sizes = outputFiles.map(({ contents }) => gzipSync(contents).length);

  expect(Math.max(...sizes)).toBeLessThan(30_000);
  expect(Math.min(...sizes)).toBeGreaterThan(100);
});

it("nothing of Clerk's is needed, to use it or to build it", () => {
  expect(read("package-lock.json")).not.toContain("@clerk/");
});

it("the lock names no host that packages come from", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

it("what is optional is not loaded by the client itself", () => {
  for (const name of ["index", "client", "fetch", "users", "errors"]) {
    expect(read(`src/${name}.ts`)).not.toMatch(/from "(react|@tanstack)/);
  }
});
