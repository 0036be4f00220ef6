/**
 * What those who know say of the package: publint of its manifest and files, @arethetypeswrong/core
 * of how its types are found, Deno of its sources on their way to JSR. All of them work offline.
 */
import fs from "node:fs";
import process from "node:process";
import * as types from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { inRoot, run, tool } from "./shell.mjs";

/** Files, which have no types; they are for `import.meta.resolve` and bundlers. */
const FILES = ["./engine.wasm", "./engine-scalar.wasm"];
/**
 * Ways to find a package that this one does not serve: `require` of an ES module works from Node 22
 * on and has its types; TypeScript's way of 2012 knows no `exports`.
 */
const ACCEPTED = { kinds: ["CJSResolvesToESM"], resolutions: ["node10"] };

function arrayBufferOf(octets) {
  return octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.byteLength);
}

async function publintFindings(octets) {
  const { messages, pkg } = await publint({
    pack: { tarball: arrayBufferOf(octets) },
    strict: true,
  });
  return messages.map((message) => `publint: ${formatMessage(message, pkg) ?? message.code}`);
}

async function typeFindings(octets) {
  const found = await types.checkPackage(types.createPackageFromTarballData(octets), {
    excludeEntrypoints: FILES,
  });
  if (found.types === false) return ["types: the package has none"];
  return found.problems
    .filter(({ kind, resolutionKind }) => {
      return !ACCEPTED.kinds.includes(kind) && !ACCEPTED.resolutions.includes(resolutionKind);
    })
    .map((problem) => `types: ${JSON.stringify(problem)}`);
}

async function jsrFindings() {
  const args = ["publish", "--dry-run", "--allow-dirty", "--config", inRoot("build/jsr/deno.json")];
  const { code, output } = await run(tool("deno"), args, { quiet: true, env: { NO_COLOR: "1" } });
  const isClean = code === 0 && !/warning/i.test(output);
  return isClean ? [] : [`jsr: ${output.trim()}`];
}

/** Findings of all of them about a tarball, and about `build/jsr`; empty = nothing. */
export async function findings(tarball) {
  const octets = new Uint8Array(fs.readFileSync(tarball));
  return [
    ...(await publintFindings(octets)),
    ...(await typeFindings(octets)),
    ...(await jsrFindings()),
  ];
}

/** Says what was found; 0 = nothing. */
export async function checkPackage(tarball) {
  const found = await findings(tarball);
  for (const line of found) process.stderr.write(`${line}\n`);
  return found.length === 0 ? 0 : 1;
}
