/** The list of packages that the image carries: what is in the binary, the same every time. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sbom } from "../scripts/sbom.mjs";

interface Entry {
  readonly version: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

const FOLDER = "node_modules/";
const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const packages: Record<string, Entry> = lock.packages;

test("sbom: production packages and Bun, by version and checksum, and no others", () => {
  const wanted = Object.entries(packages)
    .filter(([place]) => place !== "")
    .filter(([place, entry]) => place === `${FOLDER}bun` || !(entry.dev || entry.devOptional))
    .map(([place, { version, integrity = "" }]) => ({
      name: place.slice(place.lastIndexOf(FOLDER) + FOLDER.length),
      version,
      hash: Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex"),
    }));
  const document = sbom();
  const found = document.components.map(({ name, version, hashes }) => ({
    name,
    version,
    hash: hashes[0]?.content ?? "",
  }));
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
  assert.deepEqual(found.sort(byName), wanted.sort(byName));
  assert.equal(document.bomFormat, "CycloneDX");
  assert.equal(document.metadata.component.name, "slirp-binding");
  const references = new Set(document.components.map((each) => each["bom-ref"]));
  for (const { dependsOn } of document.dependencies) {
    for (const each of dependsOn) assert.ok(references.has(each), each);
  }
  assert.deepEqual(sbom(), document);
});
