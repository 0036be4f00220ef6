/**
 * The command line: arguments and environment in, one `Command` out. Nothing is printed and nothing
 * ends here; `main` does both. Commander reads the arguments, `options-table.ts` says which exist,
 * and `src/config` reads their text.
 */
import { isatty } from "node:tty";
import { CommanderError, Option, Command as Parser } from "commander";
import { type AttachOptions, parsePath, readAttachOptions } from "../config/config.ts";
import { type DemoOptions, readDemoOptions } from "../config/demo.ts";
import { ConfigError, quote } from "../config/errors.ts";
import { type ManifestOptions, readManifestOptions } from "../config/manifests.ts";
import type { RightsOptions } from "../config/rights.ts";
import { type RunOptions, readRunOptions } from "../config/run.ts";
import { readServeOptions, type ServeOptions } from "../config/serve.ts";
import { invalid, readOne, type Setting, type Settings } from "../config/settings.ts";
import { readSimulateOptions, type SimulateOptions } from "../config/simulate.ts";
import { escapeControls } from "../lib/log.ts";
import { MANIFESTS_EPILOGUE, MANIFESTS_ROWS } from "./manifests.ts";
import { environmentName, type OptionRow } from "./option-row.ts";
import {
  ATTACH_EPILOGUE,
  ATTACH_ROWS,
  DEMO_EPILOGUE,
  DEMO_ROWS,
  REPLAY_EPILOGUE,
  SERVE_EPILOGUE,
  SERVE_ROWS,
} from "./options-table.ts";
import { RUN_EPILOGUE, RUN_FLAGS, RUN_ROWS, splitRunLine } from "./run-rows.ts";
import { SIMULATE_EPILOGUE, SIMULATE_ROWS } from "./simulate-rows.ts";

/** What to do. `text` ends with a line end; `message` is one line without. */
export type Command =
  | { readonly kind: "attach"; readonly options: AttachOptions & RightsOptions }
  | { readonly kind: "run"; readonly options: RunOptions }
  | { readonly kind: "serve"; readonly options: ServeOptions }
  | { readonly kind: "demo"; readonly options: DemoOptions }
  | { readonly kind: "manifests"; readonly options: ManifestOptions }
  | { readonly kind: "replay"; readonly file: string }
  | { readonly kind: "simulate"; readonly options: SimulateOptions }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "error"; readonly message: string };

export type Environment = Readonly<Record<string, string | undefined>>;

interface Operand {
  readonly name: string;
  readonly description: string;
  readonly isRequired?: true;
}

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly rows: readonly OptionRow[];
  /** What may follow without a name, in lower case; it is read as a setting of that name. */
  readonly operand?: Operand;
  /** Another program's command line follows; it is read as the setting `COMMAND`. */
  readonly takesCommand?: true;
  readonly epilogue: string;
  /** Throws `ConfigError`. */
  readonly read: (settings: Settings, isTerminal: boolean, env: Environment) => Command;
}

const PROGRAM = "slirp-binding";
const HELP_WIDTH = 100;
const STDERR_FD = 2;
/** No option has a name in capitals. */
const COMMAND = "COMMAND";

const COMMANDS: readonly CommandEntry[] = [
  {
    name: "attach",
    summary: "give a network namespace or a virtual machine user-space network connectivity",
    description:
      "Gives a network namespace (by a tap) or a virtual machine (by a stream socket of QEMU) " +
      "user-space network connectivity: every frame the guest sends is answered here or carried " +
      "on by ordinary sockets of this process, without privileges on the host. Runs until " +
      "SIGTERM or SIGINT.",
    rows: ATTACH_ROWS,
    epilogue: ATTACH_EPILOGUE,
    read: (settings, isTerminal) => ({
      kind: "attach",
      options: readAttachOptions(settings, isTerminal),
    }),
  },
  {
    name: "run",
    summary: "run a command in a network of its own, without privileges",
    description:
      "Runs a command in a network namespace of its own that reaches the network as attach has " +
      "it, and takes all of it away when the command ends.",
    rows: RUN_ROWS,
    takesCommand: true,
    epilogue: RUN_EPILOGUE,
    read: (settings, isTerminal, env) => {
      const { SHELL: shell = "/bin/sh" } = env;
      const command = settings.get(COMMAND)?.values ?? [];
      const own = new Map([...settings].filter(([name]) => name !== COMMAND));
      const surroundings = { shell, isTerminal, flags: RUN_FLAGS };
      return { kind: "run", options: readRunOptions(own, command, surroundings) };
    },
  },
  {
    name: "serve",
    summary: "be the sidecar of a virtual machine that KubeVirt runs",
    description:
      "Serves KubeVirt's hooks: answers virt-launcher on a socket in the hooks folder and puts " +
      "the bound interfaces into the virtual machine's domain. Runs until the machine is gone.",
    rows: SERVE_ROWS,
    epilogue: SERVE_EPILOGUE,
    read: (settings, isTerminal, env) => ({
      kind: "serve",
      options: readServeOptions(settings, env, isTerminal),
    }),
  },
  {
    name: "manifests",
    summary: "print what the admin of a cluster applies",
    description:
      "Prints the YAML documents by which KubeVirt comes to know this binding, and an example of " +
      "a virtual machine that uses it.",
    rows: MANIFESTS_ROWS,
    epilogue: MANIFESTS_EPILOGUE,
    read: (settings) => ({ kind: "manifests", options: readManifestOptions(settings) }),
  },
  {
    name: "demo",
    summary: "show all of it on this machine, without a cluster",
    description:
      "Starts the sidecar, makes virt-launcher's calls with the virtual machine of KubeVirt's " +
      "user guide, and has a guest use the network it is given. Needs no privileges, and leaves " +
      "nothing behind but a capture.",
    rows: DEMO_ROWS,
    epilogue: DEMO_EPILOGUE,
    read: (settings) => ({ kind: "demo", options: readDemoOptions(settings) }),
  },
  {
    name: "replay",
    summary: "do again what a recorded engine did, and compare",
    description:
      "Gives another engine all that went into the recorded one, and compares what comes out, " +
      "bit for bit: frames for the guest, operations on host sockets, deadlines.",
    rows: [],
    operand: { name: "file", description: "the recording", isRequired: true },
    epilogue: REPLAY_EPILOGUE,
    read: (settings) => ({ kind: "replay", file: readOne(settings, "file", "", parsePath) }),
  },
  {
    name: "simulate",
    summary: "run engine, guest and upstream in virtual time, and check every run",
    description:
      "Runs the engine and the loop between a modelled guest and a modelled host, with faults, " +
      "in virtual time: the same seed is the same run. Every run is checked: streams exact, " +
      "nothing acknowledged too early, nothing outside the window, every flow ends, counters " +
      "balance.",
    rows: SIMULATE_ROWS,
    operand: { name: "scenario", description: "file of what happens; without it, the seed" },
    epilogue: SIMULATE_EPILOGUE,
    read: (settings) => ({ kind: "simulate", options: readSimulateOptions(settings) }),
  },
];

const PROGRAM_EPILOGUE = `
Examples:
  ${PROGRAM} run -- curl https://example.org/
  ${PROGRAM} attach --tap tap0 --netns /run/netns/blue --configure
  ${PROGRAM} attach --tap tap0 --netns 4711 --configure --publish 8080:80
  ${PROGRAM} attach --listen unix:/run/vm.sock
  ${PROGRAM} attach --help
  ${PROGRAM} serve
  ${PROGRAM} manifests
  ${PROGRAM} demo
  ${PROGRAM} replay FILE
  ${PROGRAM} simulate

As a program of KubeVirt's sidecar-shim, also under these names alone:
  ${PROGRAM} onDefineDomain --vmi JSON --domain XML
  ${PROGRAM} preCloudInitIso --vmi JSON --cloud-init JSON`;

/**
 * Reads a command line.
 *
 * @param argv arguments after the program's name
 * @param env the environment; only `SLIRP_…` variables of the command's options are looked at
 * @param isTerminal whether the log goes to a terminal; by default whether standard error is one
 */
export function parseCommandLine(
  argv: readonly string[],
  env: Environment,
  isTerminal: boolean = isatty(STDERR_FD),
): Command {
  let helpText = "";
  let chosen: { entry: CommandEntry; parser: Parser } | undefined;
  const program = createProgram((text) => {
    helpText += text;
  });
  for (const entry of COMMANDS) {
    const parser = addCommand(program, entry);
    parser.action(() => {
      chosen = { entry, parser };
    });
  }
  try {
    const { own, command } = splitRunLine(isHelpOfNothing(argv) ? argv.slice(1) : argv);
    program.parse(own, { from: "user" });
    if (chosen === undefined) return chooseCommand();
    const { entry, parser } = chosen;
    const settings = collectSettings(entry, parser, env);
    if (entry.takesCommand) settings.set(COMMAND, { values: command, origin: COMMAND });
    return entry.read(settings, isTerminal, env);
  } catch (error) {
    if (error instanceof CommanderError) return commandOf(error, helpText);
    if (error instanceof ConfigError) return { kind: "error", message: error.message };
    throw error;
  }
}

/** Commander says nothing of a command it does not know when asked for its help. */
function isHelpOfNothing([first, name]: readonly string[]): boolean {
  return first === "help" && name !== undefined && !COMMANDS.some((each) => each.name === name);
}

function createProgram(writeOut: (text: string) => void): Parser {
  const program = new Parser(PROGRAM);
  // First of all: commands made later take these over.
  program.exitOverride().configureOutput({
    writeOut,
    writeErr: () => {},
    getOutHelpWidth: () => HELP_WIDTH,
    getErrHelpWidth: () => HELP_WIDTH,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  return program
    .description("User-space networking for virtual machines and network namespaces.")
    .usage("COMMAND [OPTIONS]")
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .version("", "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [COMMAND]", "print the help of a command")
    .addHelpText("after", PROGRAM_EPILOGUE);
}

function operandText({ name, isRequired }: Operand): string {
  const text = name.toUpperCase();
  return isRequired === true ? text : `[${text}]`;
}

function usageOf({ operand, takesCommand }: CommandEntry): string {
  if (takesCommand === true) return "[OPTIONS] [--] [COMMAND [ARGUMENT…]]";
  return `${operand === undefined ? "" : `${operandText(operand)} `}[OPTIONS]`;
}

function addCommand(program: Parser, entry: CommandEntry): Parser {
  const { operand } = entry;
  const parser = program
    .command(entry.name)
    .summary(entry.summary)
    .description(entry.description)
    .usage(usageOf(entry))
    .helpOption("-h, --help", "print this help")
    .allowExcessArguments(false)
    .addHelpText("after", entry.epilogue);
  if (operand !== undefined) {
    const { name, description, isRequired } = operand;
    parser.argument(isRequired === true ? `<${name}>` : `[${name}]`, description);
  }
  for (const row of entry.rows) {
    const argument = row.argument === undefined ? "" : ` <${row.argument}>`;
    const option = new Option(`--${row.name}${argument}`, row.description).helpGroup(row.group);
    if (row.argument !== undefined) option.argParser(collectValue);
    parser.addOption(option);
  }
  return parser;
}

/** Keeps every value; whether the last or all of them count is the reader's business. */
function collectValue(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), text];
}

/** Joins command line and environment: an argument wins over the variable of the same option. */
function collectSettings(
  { rows, operand }: CommandEntry,
  parser: Parser,
  env: Environment,
): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  const [given] = parser.args;
  if (operand !== undefined && given !== undefined) {
    settings.set(operand.name, { values: [given], origin: operand.name.toUpperCase() });
  }
  for (const row of rows) {
    const setting = fromArguments(row, parser) ?? fromEnvironment(row, env);
    if (setting !== undefined) settings.set(row.name, setting);
  }
  return settings;
}

function fromArguments(row: OptionRow, parser: Parser): Setting | undefined {
  const option = parser.options.find((candidate) => candidate.long === `--${row.name}`);
  const attribute = option?.attributeName() ?? row.name;
  if (parser.getOptionValueSource(attribute) !== "cli") return undefined;
  const value: unknown = parser.getOptionValue(attribute);
  return { values: Array.isArray(value) ? value.map(String) : ["true"], origin: `--${row.name}` };
}

function fromEnvironment(row: OptionRow, env: Environment): Setting | undefined {
  const origin = environmentName(row);
  const text = env[origin];
  if (text === undefined || text === "") return undefined;
  if (row.argument === undefined) {
    return { values: [parseSwitch(origin, text) ? "true" : "false"], origin };
  }
  if (row.repeatable !== true) return { values: [text], origin };
  const values = text.split(",").map((value) => value.trim());
  return { values: values.filter((value) => value !== ""), origin };
}

function parseSwitch(origin: string, text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw invalid(origin, text, 'wanted "1" or "0"');
}

/** Commander tells by an exception how parsing ended, well or not. */
function commandOf(error: CommanderError, helpText: string): Command {
  if (error.code === "commander.version") return { kind: "version" };
  if (error.code === "commander.helpDisplayed" || error.code === "commander.help") {
    return error.exitCode === 0 ? { kind: "help", text: helpText } : chooseCommand();
  }
  const text = error.message.replace(/^error: |\.$/g, "").replace(/\s+/g, " ");
  return { kind: "error", message: `read arguments: ${escapeControls(text)}` };
}

function chooseCommand(): Command {
  const names = COMMANDS.map((entry) => quote(entry.name)).join(", ");
  return { kind: "error", message: `choose a command: ${names}, or see "${PROGRAM} --help"` };
}
