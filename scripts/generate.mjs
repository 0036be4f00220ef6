/**
 * Writes src/hooks/gen from src/hooks/proto: messages and services as JavaScript with its types,
 * since TypeScript's enums are more than types.
 *
 * What is written is compared octet by octet, so formatter, linter and tidy test leave it alone.
 *
 *     npm run generate              rewrites the folder
 *     npm run generate -- --check   exit code 1 when a file there is not what would be written
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main, must, tool } from "./shell.mjs";

const PROTO = "src/hooks/proto";
const GEN = "src/hooks/gen";

const template = (out) => ({
  version: "v2",
  plugins: [{ local: tool("protoc-gen-es"), out, opt: ["target=js+dts", "import_extension=js"] }],
});

/** Path from the folder -> text. */
function contents(folder) {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
  const files = names.filter((name) => fs.statSync(path.join(folder, name)).isFile());
  return new Map(
    files.sort().map((name) => [name, fs.readFileSync(path.join(folder, name), "utf8")]),
  );
}

async function generate(folder) {
  await must(tool("buf"), ["generate", PROTO, "--template", JSON.stringify(template(folder))], {
    // buf keeps its cache in the user's folder, which need not exist
    env: { BUF_CACHE_DIR: path.join(folder, "..", "cache") },
    quiet: true,
  });
}

function differences(wanted, present) {
  const names = new Set([...wanted.keys(), ...present.keys()]);
  return [...names].filter((name) => wanted.get(name) !== present.get(name));
}

if (isMain(import.meta.filename)) {
  main(async () => {
    const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-generate-"));
    try {
      const fresh = path.join(temporary, "gen");
      await generate(fresh);
      const stale = differences(contents(fresh), contents(inRoot(GEN)));
      if (stale.length === 0) return 0;
      if (process.argv.includes("--check")) {
        throw new Error(`run "npm run generate": ${GEN} is stale: ${stale.join(" ")}`);
      }
      fs.rmSync(inRoot(GEN), { recursive: true, force: true });
      fs.cpSync(fresh, inRoot(GEN), { recursive: true });
      process.stderr.write(`generate: ${stale.join(" ")}\n`);
      return 0;
    } finally {
      fs.rmSync(temporary, { recursive: true, force: true });
    }
  });
}
