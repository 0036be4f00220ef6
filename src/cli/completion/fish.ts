/** Completion for fish: a file in `~/.config/fish/completions`, or text for `source`. */
import {
  type CommandWord,
  type OptionWord,
  PROGRAM,
  type ValueKind,
  vocabulary,
} from "./vocabulary.ts";

export function fishCompletion(): string {
  const commands = vocabulary();
  const isFirst = quote("__slirp_binding_at 1");
  const lines = commands.flatMap((command) => [
    `complete -c ${PROGRAM} -n ${isFirst} -a ${command.name} -d ${quote(command.summary)}`,
    ...command.options.map((option) => optionLine(command.name, option)),
    ...operandLines(command),
  ]);
  return `# Completion of ${PROGRAM} for fish: ${PROGRAM} completion fish | source

# Whether the word at the cursor is the first one after the program's name.
function __slirp_binding_at
    test (count (commandline -opc)) -eq $argv[1]
end

# Whether the command is $argv[1].
function __slirp_binding_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = $argv[1]
end

# Whether the command is $argv[1] and operand number $argv[2] is at the cursor, or a later one with
# $argv[3] = more; the rest are its options with a value.
function __slirp_binding_operand
    __slirp_binding_is $argv[1]; or return 1
    set -l words (commandline -opc)
    set -l count 0
    set -l skip 0
    for word in $words[3..-1]
        if test $skip -eq 1
            set skip 0
        else if contains -- $word $argv[4..-1]
            set skip 1
        else if not string match -q -- '-*' $word
            set count (math $count + 1)
        end
    end
    test $count -eq $argv[2]; or begin
        test $argv[3] = more; and test $count -gt $argv[2]
    end
end

complete -c ${PROGRAM} -f
complete -c ${PROGRAM} -n ${isFirst} -s h -l help -d 'print the help'
complete -c ${PROGRAM} -n ${isFirst} -s V -l version -d 'print the version'
complete -c ${PROGRAM} -n ${isFirst} -a help -d 'print the help of a command'
complete -c ${PROGRAM} -n ${quote("__slirp_binding_is help")} -a ${quote(namesOf(commands))}
${lines.join("\n")}
`;
}

function namesOf(commands: readonly CommandWord[]): string {
  return commands.map(({ name }) => name).join(" ");
}

function optionLine(command: string, { flags, value, description }: OptionWord): string {
  const names = flags.map((flag) => {
    return flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`;
  });
  const when = quote(`__slirp_binding_is ${command}`);
  const argument = value === undefined ? "" : ` ${valueText(value)}`;
  const text = quote(description);
  return `complete -c ${PROGRAM} -n ${when} ${names.join(" ")}${argument} -d ${text}`;
}

function operandLines({ name, options, operands, takesCommand }: CommandWord): string[] {
  const valued = options.flatMap(({ flags, value }) => (value === undefined ? [] : flags));
  const line = (index: number, isRepeated: boolean, what: string): string => {
    const words = [name, String(index), isRepeated ? "more" : "once", ...valued];
    const when = quote(`__slirp_binding_operand ${words.join(" ")}`);
    return `complete -c ${PROGRAM} -n ${when} ${what}`;
  };
  if (takesCommand) return [line(0, true, "-x -a '(__fish_complete_subcommand)'")];
  return operands.flatMap(({ value, isRepeated }, index) => {
    if (value === "free") return [];
    return [line(index, isRepeated, value === "files" ? "-F" : valueText(value))];
  });
}

function valueText(value: ValueKind): string {
  if (value === "files") return "-r -F";
  if (value === "folders") return "-x -a '(__fish_complete_directories)'";
  return value === "free" ? "-x" : `-x -a ${quote(value.join(" "))}`;
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
