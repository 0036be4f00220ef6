/** Writes the C header anew: `node --import tsx test/abi/update.ts`. */
import { writeFileSync } from "node:fs";
import { cHeader } from "./header.ts";

writeFileSync(new URL("../../examples/c-host/abi.h", import.meta.url), cHeader());
