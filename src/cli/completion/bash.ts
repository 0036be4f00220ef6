/**
 * Completion for bash, without the package bash-completion.
 *
 * Readline breaks words at "=" and ":", so `--mtu=15` comes as three words; the script takes the
 * "=" away. Names of files come one in a line, for they may have blanks.
 */
import { type CommandWord, PROGRAM, type ValueKind, vocabulary } from "./vocabulary.ts";

/** Functions that the one below calls. */
const PARTS = `# Completion of ${PROGRAM} for bash: eval "$(${PROGRAM} completion bash)"

_slirp_binding_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_slirp_binding_files() {
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# Operands before the word at the cursor; $1 = options with a value.
_slirp_binding_operands() {
  local count=0 at=2 word
  while ((at < COMP_CWORD)); do
    word=\${COMP_WORDS[at]}
    if [[ \${COMP_WORDS[at + 1]} == = ]]; then
      ((at += 2))
    elif [[ $word == -* ]]; then
      [[ " $1 " == *" $word "* ]] && ((at++))
    else
      ((count++))
    fi
    ((at++))
  done
  echo "$count"
}

`;

export function bashCompletion(): string {
  const commands = vocabulary();
  return `${PARTS}_slirp_binding() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local options= valued=
  COMPREPLY=()
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if ((COMP_CWORD == 1)); then
    _slirp_binding_words "${[...commands.map(({ name }) => name), "help"].join(" ")} \\
      --help --version" "$cur"
    return
  fi
  case "\${COMP_WORDS[1]} $prev" in
${commands.flatMap(valueCases).join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
    help) _slirp_binding_words "${commands.map(({ name }) => name).join(" ")}" "$cur" ;;
${commands.map(optionCase).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    _slirp_binding_words "$options" "$cur"
    return
  fi
  case "\${COMP_WORDS[1]} $(_slirp_binding_operands "$valued")" in
${commands.flatMap(operandCases).join("\n")}
  esac
}

complete -F _slirp_binding ${PROGRAM}
`;
}

/** Values of options, all options whose values are completed alike in one branch. */
function valueCases({ name, options }: CommandWord): string[] {
  const branches = new Map<string, string[]>();
  for (const { flags, value } of options) {
    if (value === undefined) continue;
    const key = action(value);
    branches.set(key, [...(branches.get(key) ?? []), ...flags]);
  }
  return [...branches].map(([key, flags]) => {
    const patterns = flags.map((each) => `"${name} ${each}"`).join(" | \\\n      ");
    return `    ${patterns})\n      ${key}\n      return\n      ;;`;
  });
}

function optionCase({ name, options }: CommandWord): string {
  const all = options.flatMap(({ flags }) => flags);
  const valued = options.flatMap(({ flags, value }) => (value === undefined ? [] : flags));
  return `    ${name})
      options="${all.join(" ")}"
      valued="${valued.join(" ")}"
      ;;`;
}

function operandCases({ name, operands, takesCommand }: CommandWord): string[] {
  if (takesCommand) {
    return [
      `    "${name} 0") _slirp_binding_files -c "$cur" ;;`,
      `    "${name} "*) _slirp_binding_files -f "$cur" ;;`,
    ];
  }
  return operands.map(({ value, isRepeated }, index) => {
    const pattern = isRepeated ? `"${name} "*` : `"${name} ${index}"`;
    return `    ${pattern}) ${action(value)} ;;`;
  });
}

function action(value: ValueKind): string {
  if (value === "files") return '_slirp_binding_files -f "$cur"';
  if (value === "folders") return '_slirp_binding_files -d "$cur"';
  return value === "free" ? ":" : `_slirp_binding_words "${value.join(" ")}" "$cur"`;
}
