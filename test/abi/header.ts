/**
 * `examples/c-host/abi.h`: the constants of the ABI and of recordings, for hosts in C. Its
 * comments are those of the page.
 */
import {
  abiHash,
  FILE_HEADER_SIZE,
  FORMAT_VERSION,
  HASH_SIZE,
  HEAD_SIZE,
  KIND,
  LIVE_PARTS,
  MAGIC,
  RECORD_HEADER_SIZE,
  RECORD_SIZE_MAX,
} from "../../src/replay/format.ts";
import { abiParts, constantsOf } from "./constants.ts";

const HEAD = `/*
 * Numbers that cross the border between engine and host (what they mean: wasm/README.md), and those
 * of recordings (src/replay/format.ts).
 *
 * Made by test/abi/update.ts; a test compares them.
 */
#ifndef SLIRP_ABI_H
#define SLIRP_ABI_H
`;

export function cHeader(): string {
  const parts = abiParts().map((part) => {
    const lines = constantsOf(part).map(({ name, spelled }) => `  ${name} = ${spelled},`);
    return `\n/* wasm/abi/${part} */\nenum {\n${lines.join("\n")}\n};\n`;
  });
  return `${HEAD}${parts.join("")}${recordings()}\n#endif\n`;
}

function recordings(): string {
  const sizes = { FORMAT_VERSION, HASH_SIZE, FILE_HEADER_SIZE, RECORD_HEADER_SIZE };
  const numbers = Object.entries({ ...sizes, RECORD_SIZE_MAX, HEAD_SIZE });
  const kinds = Object.entries(KIND).map(
    ([name, value]) => [`RECORD_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`, value] as const,
  );
  const lines = [...numbers, ...kinds].map(([name, value]) => `  ${name} = ${value},`);
  const live = LIVE_PARTS.map(([offset, size]) => `    {${offset}, ${size}}, \\\n`);
  return [
    `\n/* src/replay/format.ts */\nenum {\n${lines.join("\n")}\n};\n`,
    `#define RECORDING_MAGIC "${String.fromCharCode(...MAGIC)}"\n`,
    `#define ABI_HASH "${abiHash()}"\n`,
    "/* Offset and octets of the parts of CONFIG that a record of kind LIVE has, in order. */\n",
    `#define LIVE_PARTS \\\n  { \\\n${live.join("")}  }\n`,
  ].join("");
}
