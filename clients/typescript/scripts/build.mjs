// Build dist/ (ES modules with types), dist/cjs (CommonJS), dist/browser.js (one file) and the package that npm installs.
import { spawnSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

rmSync("dist", { recursive: true, force: true });
run("node_modules/.bin/tsc", "-p", "tsconfig.build.json");
// File by file, so that all entry points share one ApiError.
await build({
  entryPoints: ["dist/**/*.js"],
  outdir: "dist/cjs",
  format: "cjs",
  target: "es2022",
  logLevel: "warning",
});
cpSync("dist", ".cache/types", { recursive: true, filter: (name) => !name.endsWith(".js") });
cpSync(".cache/types", "dist/cjs", { recursive: true });
rmSync(".cache/types", { recursive: true });
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
run("node", "scripts/bundle.mjs");
run("npm", "pack", "--silent");

function run(program, ...commands) {
  const { status, error } = spawnSync(program, commands, { stdio: ["inherit", 2, "inherit"] });
  if (status !== 0) throw new Error(`${program} failed: see the lines above.`, { cause: error });
}
