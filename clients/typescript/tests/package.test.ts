import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

it("the bundle for browsers is smaller than 30 KB gzipped", () => {
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

it("the client depends on no Clerk package", () => {
  expect(read("package-lock.json")).not.toContain("@clerk/");
});

it("the lock file names no package host", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

it("the main entry point imports no optional peer dependency", () => {
  for (const name of ["index", "client", "fetch", "users", "errors"]) {
    expect(read(`src/${name}.ts`)).not.toMatch(/from "(react|@tanstack)/);
  }
});
