/**
 * Writes what is made of the constants of the ABI anew: `node --import tsx test/abi/update.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cHeader } from "./header.ts";
import { filledPage } from "./page.ts";

const PAGE = new URL("../../wasm/README.md", import.meta.url);

writeFileSync(new URL("../../examples/c-host/abi.h", import.meta.url), cHeader());
writeFileSync(PAGE, filledPage(readFileSync(PAGE, "utf8")));
