// Bundle the client into one file: dist/browser.js, and the copy of it in devclerk/assets, which the sandbox of the
// Clerk emulator serves without Node. With --check: write nothing, and fail if the committed copy differs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const COPY = "../../devclerk/assets/client.js";
const LICENSES = ["zod/LICENSE"];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const notices = LICENSES.map((name) => `${name}\n\n${readFileSync(`node_modules/${name}`, "utf8").trim()}`);
const { outputFiles } = await build({
  entryPoints: ["src/index.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  banner: { js: "// Generated from clients/typescript by `make client`." },
  footer: { js: `/*!\n${notices.join("\n\n")}\n*/` },
  logLevel: "warning",
  write: false,
});
const text = outputFiles[0].text;
if (!process.argv.includes("--check")) {
  mkdirSync("dist", { recursive: true });
  for (const file of ["dist/browser.js", COPY]) writeFileSync(file, text);
} else if (readFileSync(COPY, "utf8") !== text) {
  console.error(
    "devclerk/assets/client.js differs from clients/typescript/src: run make client and commit it.",
  );
  process.exitCode = 1;
}
