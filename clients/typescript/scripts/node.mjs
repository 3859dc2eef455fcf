// The generator needs Node 22.18. An older Node fetches one from npm, once: npx would do it for each run.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const VERSION = "22.23.3";

/** Run a script with a Node that is new enough. */
export function runNode(command) {
  const { status, error } = spawnSync(findNode(), command, { stdio: "inherit" });
  if (status !== 0) throw new Error("The generator failed: see the lines above.", { cause: error });
}

function findNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath;
  const folder = `.cache/node-${VERSION}`;
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const program = join(folder, "node_modules", name, "bin", platform === "win" ? "node.exe" : "node");
  if (!existsSync(program)) {
    console.error(
      `Fetching Node ${VERSION} from npm, because the generator does not run on ${process.version} ...`,
    );
    const fetched = [
      "install",
      "--prefix",
      folder,
      "--no-save",
      "--no-package-lock",
      "--silent",
      `${name}@${VERSION}`,
    ];
    const { status, error } = spawnSync("npm", fetched, { stdio: "inherit" });
    if (status !== 0)
      throw new Error("It could not be fetched: install Node 22.18 or newer.", { cause: error });
  }
  return program;
}
