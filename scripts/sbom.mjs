/**
 * Writes `dist/sbom.json`: which npm packages are in the binary, in CycloneDX. npm makes the list
 * from package-lock.json alone, so that the same lockfile gives the same file.
 *
 *     node scripts/sbom.mjs
 *
 * In it are the production dependencies, and Bun: the build's tool, but its runtime is most of the
 * binary. npm marks what only the build needs; its own `--omit=dev` leaves out what both need.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main, ROOT } from "./shell.mjs";

const OUTPUT = "dist/sbom.json";
const RUNTIME = "bun";
const ARGS = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only", "--offline"];

/** npm's document of everything the lockfile has. */
function everything() {
  const stdio = ["ignore", "pipe", "inherit"];
  return JSON.parse(execFileSync("npm", ARGS, { cwd: ROOT, encoding: "utf8", stdio }));
}

function isShipped({ name, scope, properties }) {
  if (name === RUNTIME) return true;
  const isDevelopment = properties.some((each) => each.name === "cdx:npm:package:development");
  return scope === "required" && !isDevelopment;
}

/** What is shipped of it, without what differs from one run, folder or npm to the next. */
export function sbom() {
  const { serialNumber: _, metadata, components, dependencies, ...rest } = everything();
  const { name, version } = JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8"));
  const shipped = components
    .filter(isShipped)
    .map((each) =>
      each.name === RUNTIME ? { ...each, type: "platform", scope: "required" } : each,
    );
  const references = new Set(shipped.map((each) => each["bom-ref"]));
  const root = metadata.component["bom-ref"];
  return {
    ...rest,
    metadata: { component: { ...metadata.component, type: "application", name, version } },
    components: shipped,
    dependencies: dependencies
      .filter(({ ref }) => ref === root || references.has(ref))
      .map(({ ref, dependsOn }) => ({
        ref,
        dependsOn: dependsOn.filter((each) => references.has(each)),
      })),
  };
}

/** Writes it; returns how many components it names. */
export function writeSbom() {
  const document = sbom();
  fs.mkdirSync(path.dirname(inRoot(OUTPUT)), { recursive: true });
  fs.writeFileSync(inRoot(OUTPUT), `${JSON.stringify(document, undefined, 2)}\n`);
  return document.components.length;
}

if (isMain(import.meta.filename)) {
  main(async () => {
    process.stderr.write(`sbom: ${OUTPUT}, ${writeSbom()} packages\n`);
  });
}
