/** What a command is: how it looks to whoever gives it, and what it comes to when it is read. */
import type { AttachOptions } from "../config/attach.ts";
import type { DemoOptions } from "../config/demo.ts";
import type { DoctorOptions, GuestReportQuestion } from "../config/doctor.ts";
import type {
  DropsQuestion,
  EventsQuestion,
  FlowsQuestion,
  InstancesQuestion,
  LogQuestion,
  StatsQuestion,
  TopQuestion,
} from "../config/inspect.ts";
import type { ManifestOptions } from "../config/manifests.ts";
import type { ManualOptions, Shell } from "../config/manual.ts";
import type { Environment, OptionRow } from "../config/option.ts";
import type { RunOptions } from "../config/run.ts";
import type { ServeOptions } from "../config/serve.ts";
import type { Settings } from "../config/settings.ts";
import type { SimulateOptions } from "../config/simulate.ts";
import type { CaptureQuestion, LogLevelQuestion, PublishQuestion } from "../config/steer.ts";
import type { UiOptions } from "../config/ui.ts";

/** What a running program is asked or told. */
export type Question =
  | InstancesQuestion
  | FlowsQuestion
  | TopQuestion
  | StatsQuestion
  | EventsQuestion
  | DropsQuestion
  | LogQuestion
  | LogLevelQuestion
  | PublishQuestion
  | CaptureQuestion
  | GuestReportQuestion;

/** What to do. `text` ends with a line end; `message` is one line without. */
export type Command =
  | { readonly kind: "attach"; readonly options: AttachOptions }
  | { readonly kind: "run"; readonly options: RunOptions }
  | { readonly kind: "serve"; readonly options: ServeOptions }
  | { readonly kind: "demo"; readonly options: DemoOptions }
  | { readonly kind: "doctor"; readonly options: DoctorOptions }
  | { readonly kind: "manifests"; readonly options: ManifestOptions }
  | { readonly kind: "replay"; readonly file: string }
  | { readonly kind: "simulate"; readonly options: SimulateOptions }
  | { readonly kind: "ui"; readonly options: UiOptions }
  | { readonly kind: "ask"; readonly question: Question }
  | { readonly kind: "completion"; readonly shell: Shell }
  | { readonly kind: "man"; readonly options: ManualOptions }
  | { readonly kind: "ui"; readonly options: UiOptions }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "error"; readonly message: string };

/** A word without a name in front of it, read as the setting of its own name, in lower case. */
export interface Operand {
  readonly name: string;
  readonly description: string;
  readonly isRequired?: true;
  /** Several words may stand for it; it is then the last one. */
  readonly isRepeated?: true;
  /** Words that a shell offers for it. */
  readonly words?: readonly string[];
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly rows: readonly OptionRow[];
  /** In their order. */
  readonly operands?: readonly Operand[];
  /** Another program's command line follows; it is read as the setting `COMMAND`. */
  readonly takesCommand?: true;
  readonly epilogue: string;
  /** Throws `ConfigError`. */
  readonly read: (settings: Settings, isTerminal: boolean, env: Environment) => Command;
}

/** What follows the name of a command, a word or a word in brackets each. */
export function usageOf({ operands = [], takesCommand }: CommandEntry): readonly string[] {
  if (takesCommand === true) return ["[OPTIONS]", "[--]", "[COMMAND [ARGUMENT…]]"];
  return [...operands.map(operandText), "[OPTIONS]"];
}

function operandText({ name, isRequired, isRepeated }: Operand): string {
  const text = `${name.toUpperCase()}${isRepeated === true ? "…" : ""}`;
  return isRequired === true ? text : `[${text}]`;
}
