/** Completion for zsh: a file `_slirp-binding` in a folder of `fpath`, or text for `eval`. */
import {
  type CommandWord,
  type OperandWord,
  type OptionWord,
  PROGRAM,
  type ValueKind,
  vocabulary,
} from "./vocabulary.ts";

export function zshCompletion(): string {
  const commands = vocabulary();
  const described = commands.map(({ name, summary }) => quote(`${name}:${colons(summary)}`));
  return `#compdef ${PROGRAM}
# Completion of ${PROGRAM} for zsh: eval "$(${PROGRAM} completion zsh)"

_slirp_binding() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands
  commands=(
    ${[...described, quote("help:print the help of a command")].join("\n    ")}
  )
  _arguments -C \\
    '(- *)'{-h,--help}'[print the help]' \\
    '(- *)'{-V,--version}'[print the version]' \\
    '1:command:->command' \\
    '*::argument:->argument' && return
  case $state in
    command) _describe -t commands command commands ;;
    argument)
      case $words[1] in
        help) _describe -t commands command commands ;;
${commands.map(commandCase).join("\n")}
      esac
      ;;
  esac
}

if [[ $funcstack[1] == _slirp_binding ]]; then
  _slirp_binding "$@"
else
  compdef _slirp_binding ${PROGRAM}
fi
`;
}

function commandCase({ name, options, operands, takesCommand }: CommandWord): string {
  const specs = [
    ...options.flatMap(optionSpecs),
    ...operands.map(operandSpec),
    ...(takesCommand ? [quote("*::command:_normal")] : []),
  ];
  return `        ${name})
          _arguments ${specs.join(" \\\n            ")}
          ;;`;
}

/** Each name is a specification of its own; one that was given hides the others. */
function optionSpecs({ flags, argument, value, isRepeatable, description }: OptionWord): string[] {
  const exclusive = isRepeatable ? "*" : flags.length > 1 ? `(${flags.join(" ")})` : "";
  const text = `[${brackets(description)}]`;
  if (value === undefined) return flags.map((flag) => quote(`${exclusive}${flag}${text}`));
  const after = `:${colons(argument ?? "")}:${action(value)}`;
  return flags.map((flag) => {
    return quote(`${exclusive}${flag}${flag.startsWith("--") ? "=" : "+"}${text}${after}`);
  });
}

function operandSpec({ name, value, isRepeated }: OperandWord): string {
  return quote(`${isRepeated ? "*" : ""}:${name}:${action(value)}`);
}

function action(value: ValueKind): string {
  if (value === "files") return "_files";
  if (value === "folders") return "_files -/";
  return value === "free" ? " " : `(${value.join(" ")})`;
}

function colons(text: string): string {
  return text.replace(/[\\:]/g, "\\$&");
}

function brackets(text: string): string {
  return text.replace(/[\\[\]]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
