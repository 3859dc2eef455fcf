// Build dist/ (ES modules with types), dist/cjs (CommonJS), dist/browser.js (one file) and the package that npm installs.
import { spawnSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const common = { logLevel: "warning", target: "es2022" };

rmSync("dist", { recursive: true, force: true });
run("node_modules/.bin/tsc", "-p", "tsconfig.build.json");
await Promise.all([
  // File by file, so that all entry points share one ApiError.
  build({ ...common, entryPoints: ["dist/**/*.js"], outdir: "dist/cjs", format: "cjs" }),
  build({
    ...common,
    entryPoints: ["src/index.ts"],
    outfile: "dist/browser.js",
    bundle: true,
    minify: true,
    format: "esm",
  }),
]);
cpSync("dist", ".cache/types", { recursive: true, filter: (name) => !name.endsWith(".js") });
cpSync(".cache/types", "dist/cjs", { recursive: true });
rmSync(".cache/types", { recursive: true });
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
run("npm", "pack", "--silent");

function run(program, ...commands) {
  const { status, error } = spawnSync(program, commands, { stdio: ["inherit", 2, "inherit"] });
  if (status !== 0) throw new Error(`${program} failed: see the lines above.`, { cause: error });
}
