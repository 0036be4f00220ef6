/** Writes `test/fixtures/help` anew: `node --import tsx test/config/update-help.ts`. */
import { writeFileSync } from "node:fs";
import { HELP_COMMANDS, helpFile, helpOf } from "./help-texts.ts";

for (const command of ["", ...HELP_COMMANDS]) writeFileSync(helpFile(command), helpOf(command));
