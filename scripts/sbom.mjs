/**
 * Writes `dist/sbom.json`: which npm packages are in the binary. CycloneDX 1.5, made from
 * package-lock.json alone, so that the same lockfile gives the same file.
 *
 *     node scripts/sbom.mjs
 *
 * In it are the production dependencies, and Bun: the build's tool, but its runtime is most of the
 * binary.
 */
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main } from "./shell.mjs";

const OUTPUT = "dist/sbom.json";
const FOLDER = "node_modules/";
const RUNTIME = `${FOLDER}bun`;

function nameOf(place) {
  return place.slice(place.lastIndexOf(FOLDER) + FOLDER.length);
}

/** Package URL: the scope's "@" is escaped. */
function purlOf(place, { version }) {
  return `pkg:npm/${nameOf(place).replace("@", "%40")}@${version}`;
}

/** The lock's integrity, `sha512-BASE64`, as CycloneDX has it. */
function hashesOf({ integrity = "" }) {
  return integrity.split(" ").flatMap((each) => {
    const [algorithm, sum] = each.split(/-(.*)/s);
    if (algorithm !== "sha512" || sum === undefined) return [];
    return [{ alg: "SHA-512", content: Buffer.from(sum, "base64").toString("hex") }];
  });
}

function licenseOf({ license }) {
  if (license === undefined) return {};
  // An expression where it is one, as "MIT OR Apache-2.0".
  const isExpression = /[ ()]/.test(license);
  return {
    licenses: [isExpression ? { expression: license } : { license: { id: license } }],
  };
}

function component(place, entry) {
  const purl = purlOf(place, entry);
  return {
    type: place === RUNTIME ? "platform" : "library",
    "bom-ref": purl,
    name: nameOf(place),
    version: entry.version,
    purl,
    ...licenseOf(entry),
    hashes: hashesOf(entry),
  };
}

/** Where Node would find `name` from the package at `place`. */
function resolve(packages, place, name) {
  for (let from = place; ; from = from.slice(0, Math.max(0, from.lastIndexOf(`/${FOLDER}`)))) {
    const at = `${from === "" ? "" : `${from}/`}${FOLDER}${name}`;
    if (packages[at] !== undefined) return at;
    if (from === "") return undefined;
  }
}

/** The document for a lockfile's content. */
export function sbom(lock) {
  const { packages } = lock;
  const { "": root, ...rest } = packages;
  const shipped = Object.entries(rest).filter(
    ([place, entry]) => place === RUNTIME || !(entry.dev || entry.devOptional || entry.optional),
  );
  const places = new Set(shipped.map(([place]) => place));
  const reference = `pkg:npm/${root.name}@${root.version}`;
  const needs = (place, entry) =>
    Object.keys({ ...entry.dependencies, ...entry.peerDependencies })
      .map((name) => resolve(packages, place, name))
      .filter((at) => places.has(at))
      .map((at) => purlOf(at, packages[at]))
      .sort();
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": reference,
        name: root.name,
        version: root.version,
        purl: reference,
        ...licenseOf(root),
      },
    },
    components: shipped.map(([place, entry]) => component(place, entry)),
    dependencies: [
      { ref: reference, dependsOn: [...needs("", root), purlOf(RUNTIME, packages[RUNTIME])] },
      ...shipped.map(([place, entry]) => ({
        ref: purlOf(place, entry),
        dependsOn: places.has(place) && place !== RUNTIME ? needs(place, entry) : [],
      })),
    ],
  };
}

/** Writes it; returns how many components it names. */
export function writeSbom() {
  const document = sbom(JSON.parse(fs.readFileSync(inRoot("package-lock.json"), "utf8")));
  fs.mkdirSync(path.dirname(inRoot(OUTPUT)), { recursive: true });
  fs.writeFileSync(inRoot(OUTPUT), `${JSON.stringify(document, undefined, 2)}\n`);
  return document.components.length;
}

if (isMain(import.meta.filename)) {
  main(async () => {
    process.stderr.write(`sbom: ${OUTPUT}, ${writeSbom()} packages\n`);
  });
}
