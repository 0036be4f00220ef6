/**
 * Writes docs/rfc-coverage.md: which behaviours of docs/rfc-ids.json a test covers.
 *
 *     npm run coverage:rfc             writes it
 *     npm run coverage:rfc -- --check  fails when it is not up to date
 *
 * A behaviour is tested when a string in a `*.test.ts` file names its id, as test titles do.
 */
import fs from "node:fs";
import process from "node:process";
import { filesBelow } from "./build.mjs";
import { inRoot, isMain, main } from "./shell.mjs";

const IDS = inRoot("docs/rfc-ids.json");
const OUTPUT = inRoot("docs/rfc-coverage.md");

const CHAPTERS = {
  T: "TCP",
  P: "IP, ARP, ICMP, UDP",
  N: "NAT",
  D: "DHCPv4",
  V: "DHCPv6 and neighbour discovery",
  F: "DNS forwarding",
};

/** Id -> test files whose strings name it. */
function coveredBy() {
  const files = new Map();
  for (const file of filesBelow("test", ".test.ts")) {
    const text = fs.readFileSync(inRoot(file), "utf8");
    for (const [literal] of text.matchAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)) {
      for (const [id] of literal.matchAll(/\b[TPNDVF]\d\d\b/g)) {
        files.set(id, (files.get(id) ?? new Set()).add(file));
      }
    }
  }
  return files;
}

function state({ id, departure, later }, files) {
  const tests = [...(files.get(id) ?? [])].map((file) => `\`${file.replace("test/", "")}\``);
  const parts = [];
  if (tests.length > 0) parts.push(`tested: ${tests.join(", ")}`);
  if (departure !== undefined) parts.push(`departed from: ${departure}`);
  if (parts.length === 0) parts.push(later === undefined ? "not yet" : `not yet (${later} issue)`);
  return parts.join("; ");
}

function render() {
  const ids = JSON.parse(fs.readFileSync(IDS, "utf8"));
  const files = coveredBy();
  const known = new Set(ids.map(({ id }) => id));
  const stray = [...files.keys()].filter((id) => !known.has(id));
  if (stray.length > 0) throw new Error(`tests name unknown ids: ${stray.sort().join(" ")}`);
  const tested = ids.filter(({ id }) => files.has(id)).length;
  const departed = ids.filter(({ id, departure }) => !files.has(id) && departure).length;
  const lines = [
    "# RFC coverage",
    "",
    "Made by `npm run coverage:rfc` from `rfc-ids.json` and the titles of the tests: do not edit.",
    "",
    `${ids.length} behaviours: ${tested} tested, ${departed} departed from, ` +
      `${ids.length - tested - departed} not yet.`,
  ];
  for (const [letter, title] of Object.entries(CHAPTERS)) {
    lines.push("", `## ${title}`, "", "| id | behaviour | source | state |", "|---|---|---|---|");
    for (const entry of ids.filter(({ id }) => id.startsWith(letter))) {
      lines.push(`| ${entry.id} | ${entry.title} | ${entry.source} | ${state(entry, files)} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}

if (isMain(import.meta.filename)) {
  main(async () => {
    const text = render();
    if (!process.argv.includes("--check")) {
      fs.writeFileSync(OUTPUT, text);
      return 0;
    }
    if (fs.existsSync(OUTPUT) && fs.readFileSync(OUTPUT, "utf8") === text) return 0;
    throw new Error('Run "npm run coverage:rfc": docs/rfc-coverage.md is not up to date');
  });
}
