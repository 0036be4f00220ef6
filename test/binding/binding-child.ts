/**
 * One guest network as a program, so that its log can be read: started by program.ts with the
 * options of `attach` as JSON, several values of one divided by commas. Says "ready" on standard
 * output, and ends with its standard input.
 */
import process from "node:process";
import { startBinding } from "../../src/binding/binding.ts";
import { readAttachOptions } from "../../src/config/attach.ts";

const given = JSON.parse(process.argv[2] ?? "{}") as Record<string, string>;
const entries = Object.entries({ "log-format": "json", "log-level": "info", ...given });
const settings = new Map(
  entries.map(([name, value]) => [name, { values: value.split(","), origin: "test" }] as const),
);
const asked = readAttachOptions(settings, false);
const options = { ...asked, publish: { ...asked.publish, needsEveryPort: false } };
const binding = await startBinding(options, {
  seed: Array.from({ length: 32 }, (_, i) => i),
  program: process.execPath,
  uid: process.getuid?.() ?? 0,
  helper: [],
  memoryGroup: undefined,
});
await binding.ready;
process.stdout.write("ready\n");
process.stdin.on("end", () => binding.stop());
process.stdin.resume();
await binding.ended;
process.exit(0);
