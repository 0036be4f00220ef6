/**
 * Writes src/hooks/gen from src/hooks/proto, and src/admin/gen from src/admin/proto: messages and
 * services as JavaScript with its types, since TypeScript's enums are more than types.
 *
 * What is written is compared octet by octet, so formatter, linter and tidy test leave it alone.
 *
 *     npm run generate              rewrites the folders
 *     npm run generate -- --check   exit code 1 when a file there is not what would be written
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main, must, tool } from "./shell.mjs";

const AREAS = ["src/hooks", "src/admin"];

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

async function generate(proto, folder) {
  await must(tool("buf"), ["generate", proto, "--template", JSON.stringify(template(folder))], {
    // buf keeps its cache in the user's folder, which need not exist
    env: { BUF_CACHE_DIR: path.join(folder, "..", "cache") },
    quiet: true,
  });
}

function differences(wanted, present) {
  const names = new Set([...wanted.keys(), ...present.keys()]);
  return [...names].filter((name) => wanted.get(name) !== present.get(name));
}

/** Brings one area up to date; returns the names of what was stale. */
async function update(area, temporary, isCheck) {
  const gen = inRoot(area, "gen");
  const fresh = path.join(temporary, path.basename(area), "gen");
  await generate(path.join(area, "proto"), fresh);
  const stale = differences(contents(fresh), contents(gen));
  if (stale.length === 0 || isCheck) return stale;
  fs.rmSync(gen, { recursive: true, force: true });
  fs.cpSync(fresh, gen, { recursive: true });
  return stale;
}

if (isMain(import.meta.filename)) {
  main(async () => {
    const isCheck = process.argv.includes("--check");
    const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-generate-"));
    try {
      for (const area of AREAS) {
        const stale = await update(area, temporary, isCheck);
        if (stale.length === 0) continue;
        if (isCheck) {
          throw new Error(`run "npm run generate": ${area}/gen is stale: ${stale.join(" ")}`);
        }
        process.stderr.write(`generate: ${area}: ${stale.join(" ")}\n`);
      }
      return 0;
    } finally {
      fs.rmSync(temporary, { recursive: true, force: true });
    }
  });
}
