/**
 * `npm run man`: what the binary says of itself, as files, for whoever packages it.
 *
 *     dist/man/man1/slirp-binding*.1                  pages of the manual
 *     dist/completions/slirp-binding.bash, _slirp-binding, slirp-binding.fish
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { build } from "./build.mjs";
import { install } from "./install.mjs";
import { inRoot, main } from "./shell.mjs";

const BINARY = "dist/slirp-binding";
const PAGES = "dist/man/man1";
const COMPLETIONS = "dist/completions";
/** Names under which the shells look for them. */
const SCRIPTS = {
  bash: "slirp-binding.bash",
  zsh: "_slirp-binding",
  fish: "slirp-binding.fish",
};

main(async () => {
  await install();
  await build();
  fs.rmSync(inRoot(PAGES), { recursive: true, force: true });
  execFileSync(inRoot(BINARY), ["man", "--into", inRoot(PAGES)]);
  fs.mkdirSync(inRoot(COMPLETIONS), { recursive: true });
  for (const [shell, name] of Object.entries(SCRIPTS)) {
    const script = execFileSync(inRoot(BINARY), ["completion", shell]);
    fs.writeFileSync(inRoot(COMPLETIONS, name), script);
  }
  process.stderr.write(`man: ${PAGES}, ${COMPLETIONS}\n`);
});
