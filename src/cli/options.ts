/**
 * The command line: arguments and environment in, one `Command` out. Nothing is printed and nothing
 * ends here; `main` does both. Commander reads the arguments, `commands.ts` says what there is, and
 * the rows of `src/config` read their text.
 */
import { isatty } from "node:tty";
import { CommanderError, Option, Command as Parser } from "commander";
import { ConfigError, quote } from "../config/errors.ts";
import { type Environment, type OptionRow, readVariable } from "../config/option.ts";
import type { Setting } from "../config/settings.ts";
import { escapeControls } from "../lib/controls.ts";
import { type Command, type CommandEntry, type Operand, usageOf } from "./command.ts";
import { COMMAND, COMMANDS } from "./commands.ts";
import { splitRunLine } from "./run-line.ts";

const PROGRAM = "slirp-binding";
const HELP_WIDTH = 100;
const STDERR_FD = 2;

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
  ${PROGRAM} flows
  ${PROGRAM} capture dropped -w drops.pcapng
  ${PROGRAM} replay FILE
  ${PROGRAM} simulate

As a program of KubeVirt's sidecar-shim, also under these names alone:
  ${PROGRAM} onDefineDomain --vmi JSON --domain XML
  ${PROGRAM} preCloudInitIso --vmi JSON --cloud-init JSON`;

/**
 * Reads a command line.
 *
 * @param argv arguments after the program's name
 * @param env the environment; only the variables of the command's options are looked at
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

function addOperand(parser: Parser, { name, description, isRequired, isRepeated }: Operand): void {
  const text = isRepeated === true ? `${name}...` : name;
  parser.argument(isRequired === true ? `<${text}>` : `[${text}]`, description);
}

function addCommand(program: Parser, entry: CommandEntry): Parser {
  const parser = program
    .command(entry.name)
    .summary(entry.summary)
    .description(entry.description)
    .usage(usageOf(entry).join(" "))
    .helpOption("-h, --help", "print this help")
    .allowExcessArguments(false)
    .addHelpText("after", entry.epilogue);
  for (const operand of entry.operands ?? []) addOperand(parser, operand);
  for (const row of entry.rows.filter(({ isVariableOnly }) => isVariableOnly !== true)) {
    const short = row.short === undefined ? "" : `-${row.short}, `;
    const argument = row.argument === undefined ? "" : ` <${row.argument}>`;
    const flags = `${short}--${row.name}${argument}`;
    const option = new Option(flags, row.description).helpGroup(row.heading);
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
  { rows, operands = [] }: CommandEntry,
  parser: Parser,
  env: Environment,
): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const [index, { name, isRepeated }] of operands.entries()) {
    const values = parser.args.slice(index, isRepeated === true ? undefined : index + 1);
    if (values.length > 0) settings.set(name, { values, origin: name.toUpperCase() });
  }
  for (const row of rows) {
    const setting = fromArguments(row, parser) ?? readVariable(row, env);
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
