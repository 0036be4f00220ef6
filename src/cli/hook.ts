/**
 * `onDefineDomain` and `preCloudInitIso`: the hooks as KubeVirt's sidecar-shim runs them, by a
 * command or by the name the program is called under. The answer goes to standard output and
 * nothing else does; a failure and each warning is one line on standard error.
 */
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { ConfigError, quote } from "../config/errors.ts";
import { readExternalDataPlane, readHookSettings } from "../config/hook-settings.ts";
import { HookError } from "../hooks/domain/errors.ts";
import { HOOK_NAMES, type HookName, onDefineDomain, preCloudInitIso } from "../hooks/exec.ts";
import { escapeControls } from "../lib/controls.ts";
import { readPlanContext } from "./hook-context.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the answer and the error line go. */
export interface HookOutput {
  readonly out: (text: string) => Promise<void>;
  readonly err: (text: string) => Promise<void>;
}

const PROGRAM = "slirp-binding";
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

const OPTIONS = Object.freeze({
  onDefineDomain: ["vmi", "domain"],
  preCloudInitIso: ["vmi", "cloud-init"],
} as const);

const HELP: Readonly<Record<HookName, string>> = Object.freeze({
  onDefineDomain: `Usage: ${PROGRAM} onDefineDomain --vmi JSON --domain XML

Prints the domain with the bound interfaces of the virtual machine in it.

Variables:
  NETWORK_BINDING_PLUGIN_NAME  name the binding is registered under ["slirp"]
  SLIRP_LINK                   auto, client, stream, vhost-user or user ["auto", here "user"]
  SLIRP_EXTERNAL_DATA_PLANE    1 where another container of the pod carries the frames
  SLIRP_ALLOW_ANNOTATIONS      0 to keep virtual machines from choosing link and MTU
  SLIRP_CIDR, SLIRP_MTU, SLIRP_LOOPBACK_PORT
`,
  preCloudInitIso: `Usage: ${PROGRAM} preCloudInitIso --vmi JSON --cloud-init JSON

Prints the cloud-init data as it is.
`,
});

const STANDARD: HookOutput = Object.freeze({
  out: (text: string) => write(process.stdout, text),
  err: (text: string) => write(process.stderr, text),
});

/** Which hook a program of this name (`argv[0]`, a path is fine) is. */
export function hookName(argv0: string): HookName | undefined {
  return HOOK_NAMES.find((name) => name === basename(argv0));
}

/**
 * Runs one hook and resolves to the exit code: 0, 1 when the hook refuses, 2 for bad usage.
 *
 * @param argv arguments behind the hook's name
 */
export async function runHook(
  name: HookName,
  argv: readonly string[],
  env: Environment,
  { out, err }: HookOutput = STANDARD,
): Promise<number> {
  try {
    const given = readArguments(name, argv);
    const warnings: string[] = [];
    const text = given === undefined ? HELP[name] : answer(name, given, env, warnings);
    for (const warning of warnings) await err(`${PROGRAM}: ${name}: warning: ${warning}\n`);
    await out(text);
    return 0;
  } catch (error) {
    const isUsage = error instanceof ConfigError;
    if (!isUsage && !(error instanceof HookError)) throw error;
    await err(`${PROGRAM}: ${name}: ${escapeControls(error.message.replace(/\s+/g, " "))}\n`);
    return isUsage ? EXIT_USAGE : EXIT_FAILURE;
  }
}

function answer(
  name: HookName,
  given: ReadonlyMap<string, string>,
  env: Environment,
  warnings: string[],
): string {
  const text = (option: string): string => given.get(option) ?? "";
  if (name === "preCloudInitIso") return preCloudInitIso(text("cloud-init"));
  const hasDataPlane = readExternalDataPlane(env);
  // What the other container can do is not known here; `client` every QEMU can.
  const autoLink = hasDataPlane ? "client" : "user";
  const context = readPlanContext(readHookSettings(env), { autoLink, memoryLimit: undefined });
  const warn = (warning: string): number => warnings.push(warning);
  return onDefineDomain(text("vmi"), text("domain"), context, hasDataPlane, warn);
}

/** Values of all options of the hook; undefined when help is asked for. Throws `ConfigError`. */
function readArguments(
  name: HookName,
  argv: readonly string[],
): ReadonlyMap<string, string> | undefined {
  const wanted = OPTIONS[name];
  const { values, tokens } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries(wanted.map((option) => [option, { type: "string" as const }])),
      help: { type: "boolean", short: "h" },
    },
    strict: false,
    tokens: true,
  });
  const found: Readonly<Record<string, unknown>> = values;
  if (found["help"] === true) return undefined;
  const known: readonly string[] = wanted;
  for (const token of tokens) {
    const text = token.kind === "option" ? token.rawName : argv[token.index];
    if (token.kind === "option" && known.includes(token.name)) continue;
    throw new ConfigError(`read arguments: unknown argument ${quote((text ?? "").slice(0, 80))}`);
  }
  const given = wanted.map((option) => {
    const value = found[option];
    if (typeof value === "string") return [option, value] as const;
    throw new ConfigError(`read arguments: give ${quote(`--${option}`)} and its value`);
  });
  return new Map(given);
}

/** Resolves when all of it is written: whoever exits earlier would cut a long answer off. */
function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
