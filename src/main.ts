/**
 * The program: command line in, exit code out. The only place that ends the process.
 */

import packageJson from "../package.json" with { type: "json" };
import { attach, TAP_HELPER_COMMAND } from "./cli/attach.ts";
import { parseCommandLine } from "./cli/options.ts";
import { runTapHelper } from "./sys/tap-helper.ts";

const EXIT_USAGE = 2;

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv[0] === TAP_HELPER_COMMAND) {
    await runTapHelper(argv.slice(1));
    return 0;
  }
  const command = parseCommandLine(argv, process.env);
  switch (command.kind) {
    case "attach":
      return attach(command.options);
    case "help":
      process.stdout.write(`${command.text.trimEnd()}\n`);
      return 0;
    case "version":
      process.stdout.write(`slirp-binding ${packageJson.version}\n`);
      return 0;
    case "error":
      process.stderr.write(`slirp-binding: ${command.message}\n`);
      return EXIT_USAGE;
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`slirp-binding: ${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  },
);
