/**
 * The program: command line in, exit code out. The only place that ends the process.
 *
 * Commands are loaded when they are chosen: what one needs does not delay the others' start.
 */

import packageJson from "../package.json" with { type: "json" };
import { RUN_COMMAND, SWARM_COMMAND, TAP_HELPER_COMMAND } from "./cli/internal.ts";
import { flushLog } from "./lib/log.ts";
import { messageOf } from "./lib/message.ts";
import { standardError } from "./lib/standard-error.ts";

const EXIT_USAGE = 2;
/** Names of hooks, as KubeVirt's sidecar-shim runs them. */
const HOOK_PROGRAM = /(?:^|\/)(?:onDefineDomain|preCloudInitIso)$/;

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv[0] === TAP_HELPER_COMMAND) {
    const { runTapHelper } = await import("./sys/tap-helper.ts");
    await runTapHelper(argv.slice(1));
    return 0;
  }
  if (argv[0] === RUN_COMMAND) {
    return (await import("./cli/run-inside.ts")).runInside(argv.slice(1), process.env);
  }
  if (argv[0] === SWARM_COMMAND) {
    return (await import("./lab/commands/simulate-share.ts")).runShare(argv.slice(1));
  }
  const isAlias = HOOK_PROGRAM.test(process.argv0);
  const called = isAlias ? process.argv0 : (argv[0] ?? "");
  if (HOOK_PROGRAM.test(called)) {
    const { hookName, runHook } = await import("./cli/hook.ts");
    const name = hookName(called);
    if (name !== undefined) return runHook(name, isAlias ? argv : argv.slice(1), process.env);
  }
  const { parseCommandLine } = await import("./cli/options.ts");
  const command = parseCommandLine(argv, process.env);
  switch (command.kind) {
    case "attach":
      return (await import("./cli/attach.ts")).attach(command.options);
    case "run":
      return (await import("./cli/run.ts")).run(command.options, process.env);
    case "serve":
      return (await import("./cli/serve.ts")).serve(command.options);
    case "doctor":
      return (await import("./cli/doctor.ts")).doctor(command.options);
    case "ui":
      return (await import("./cli/ui.ts")).ui(command.options);
    case "manifests": {
      const { manifests } = await import("./cli/manifests.ts");
      process.stdout.write(manifests(command.options));
      return 0;
    }
    case "demo":
      return (await import("./lab/demo/demo.ts")).demo(command.options);
    case "replay":
      return (await import("./lab/commands/replay.ts")).replay(command.file);
    case "simulate":
      return (await import("./lab/commands/simulate.ts")).simulate(command.options);
    case "ask":
      return (await import("./cli/admin/ask.ts")).ask(command.question);
    case "completion":
      process.stdout.write((await import("./cli/manual.ts")).completion(command.shell));
      return 0;
    case "man":
      return (await import("./cli/manual.ts")).manual(command.options);
    case "help":
      process.stdout.write(`${command.text.trimEnd()}\n`);
      return 0;
    case "version":
      process.stdout.write(`slirp-binding ${packageJson.version}\n`);
      return 0;
    case "error":
      standardError().write(`slirp-binding: ${command.message}\n`);
      return EXIT_USAGE;
  }
}

main()
  .catch((error: unknown) => {
    standardError().write(`slirp-binding: ${messageOf(error)}\n`);
    return 1;
  })
  .then(async (code) => {
    await flushLog();
    process.exit(code);
  });
