/**
 * Reads TypeScript and AssemblyScript sources the way the tidy test needs: without a parser, for
 * TypeScript 7 has no JavaScript API and AssemblyScript's decorators are no TypeScript.
 *
 * Contract: `blank` keeps every line and column, so positions in its result are positions in the
 * file. The function measure goes by braces and is right for code in this project's format.
 */

const REGEX_BEFORE = /(?:^|[([{},;:=!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|=>))\s*$/;

/** End of a quoted text that starts at `start`: the position behind the closing quote. */
function endOfQuoted(text: string, start: number, quote: string): number {
  let index = start + 1;
  while (index < text.length && text[index] !== quote && text[index] !== "\n") {
    index += text[index] === "\\" ? 2 : 1;
  }
  return index + 1;
}

function endOfRegex(text: string, start: number): number {
  let inClass = false;
  for (let index = start + 1; index < text.length; index++) {
    const c = text[index];
    if (c === "\\") index++;
    else if (c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === "\n") return start + 1;
    else if (c === "/" && !inClass) return index + 1;
  }
  return start + 1;
}

/** End of a template from its backtick, or of its tail from the brace of an insertion. */
function endOfTemplate(text: string, start: number): { end: number; insertion: boolean } {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === "\\") index++;
    else if (text[index] === "`") return { end: index + 1, insertion: false };
    else if (text.startsWith("${", index)) return { end: index + 2, insertion: true };
  }
  return { end: text.length, insertion: false };
}

/** The text with comments, strings and regular expressions turned into spaces; code stays. */
export function blank(text: string): string {
  const parts: string[] = [];
  const templates: number[] = []; // brace depth at which each open template goes on
  let depth = 0;
  let index = 0;
  const hide = (end: number): void => {
    parts.push(text.slice(index, end).replaceAll(/[^\n]/g, " "));
    index = end;
  };
  const template = (): void => {
    const { end, insertion } = endOfTemplate(text, index);
    if (insertion) templates.push(depth);
    hide(end);
  };
  while (index < text.length) {
    const c = text[index] ?? "";
    if (text.startsWith("//", index)) {
      const end = text.indexOf("\n", index);
      hide(end < 0 ? text.length : end);
    } else if (text.startsWith("/*", index)) {
      const end = text.indexOf("*/", index + 2);
      hide(end < 0 ? text.length : end + 2);
    } else if (c === '"' || c === "'") {
      hide(endOfQuoted(text, index, c));
    } else if (c === "`") {
      template();
    } else if (c === "}" && templates.at(-1) === depth) {
      templates.pop();
      template();
    } else if (c === "/" && REGEX_BEFORE.test(parts.slice(-80).join(""))) {
      hide(endOfRegex(text, index));
    } else {
      if (c === "{") depth++;
      if (c === "}") depth--;
      parts.push(c);
      index++;
    }
  }
  return parts.join("");
}

export type Measured = { readonly line: number; readonly lines: number; readonly head: string };

const CONTROL = /^(?:(?:else\s+)?(?:if|for|while|switch|with|catch)\b|do\b|try\b|case\b|default\b)/;

function opensFunction(head: string): boolean {
  if (CONTROL.test(head) || /\b(?:class|interface|enum)\b/.test(head)) return false;
  return /=>$/.test(head) || /\)\s*(?::[^=]*)?$/.test(head);
}

/** A function that holds tests is a list of them; a suite may hold them by a helper's name. */
function isSuite(head: string, body: string): boolean {
  return /^describe\(/.test(head) || /\b(?:describe|test)\(/.test(body);
}

/** Every function with its length in lines, its head included. Suites of tests do not count. */
export function functions(text: string): Measured[] {
  const code = blank(text);
  const found: Measured[] = [];
  const open: { head: string; start: number; body: number; isFunction: boolean }[] = [];
  let headStart = 0;
  const lineOf = (position: number): number => code.slice(0, position).split("\n").length;
  for (let index = 0; index < code.length; index++) {
    const c = code[index];
    if (c === "{") {
      const raw = code.slice(headStart, index);
      const head = raw.trim();
      const start = headStart + raw.length - raw.trimStart().length;
      open.push({ head, start, body: index, isFunction: opensFunction(head) });
      headStart = index + 1;
    } else if (c === "}") {
      const block = open.pop();
      if (block?.isFunction && !isSuite(block.head, code.slice(block.body, index))) {
        const line = lineOf(block.start);
        found.push({ line, lines: lineOf(index) - line + 1, head: block.head });
      }
      // a record in a result type: the body that follows belongs to the same head
      const next = code.slice(index + 1).match(/^\s*\{/);
      headStart = block?.isFunction && next ? block.start : index + 1;
    } else if (c === ";") {
      headStart = index + 1;
    }
  }
  return found;
}

export type Declared = { readonly line: number; readonly name: string; readonly count: number };

/** Parameters of a list without its parentheses; one that is taken apart counts once. */
function countParameters(list: string): number {
  let depth = 0;
  let count = 0;
  let hasText = false;
  for (const c of list.replaceAll("=>", "  ")) {
    if (c === "," && depth === 0) {
      if (hasText) count++;
      hasText = false;
      continue;
    }
    if ("([{<".includes(c)) depth++;
    else if (")]}>".includes(c)) depth--;
    if (c.trim() !== "") hasText = true;
  }
  return hasText ? count + 1 : count;
}

/** Every function that is declared by that word, with the number of its parameters. */
export function declarations(text: string): Declared[] {
  const code = blank(text);
  return [...code.matchAll(/\bfunction\s*\*?\s*(\w+)\s*(?:<[^(]*>)?\s*\(/g)].map((match) => {
    const start = match.index + match[0].length;
    let end = start;
    for (let depth = 1; end < code.length; end++) {
      if (code[end] === "(") depth++;
      else if (code[end] === ")" && --depth === 0) break;
    }
    const line = code.slice(0, match.index).split("\n").length;
    return { line, name: match[1] ?? "", count: countParameters(code.slice(start, end)) };
  });
}

/** Types vanish when the program runs; "lazy" is `import()`. */
export type ImportKind = "value" | "type" | "lazy";

export type Import = { readonly specifier: string; readonly kind: ImportKind };

/** What a module imports or re-exports, statically or by `import()`. */
export function imports(text: string): Import[] {
  const code = blank(text);
  const found: Import[] = [];
  const pattern = /\b(import|export)\b(\s+type\b)?[^;"'()]*?\bfrom\s*(["'])([^"'\n]+)\3/g;
  for (const match of text.matchAll(pattern)) {
    if (code[match.index] === " ") continue; // in a comment
    found.push({ specifier: match[4] ?? "", kind: match[2] === undefined ? "value" : "type" });
  }
  for (const match of text.matchAll(/\bimport\s*(\()?\s*(["'])([^"'\n]+)\2/g)) {
    if (code[match.index] === " ") continue;
    found.push({ specifier: match[3] ?? "", kind: match[1] === undefined ? "value" : "lazy" });
  }
  return found;
}

/** Names that a module exports as values, with their lines; types cost nothing and do not count. */
export function exportedValues(text: string): { readonly name: string; readonly line: number }[] {
  const code = blank(text);
  const pattern =
    /^export\s+(?:async\s+)?(?:abstract\s+)?(?:function\*?|const|let|class)\s+(\w+)/gm;
  return [...code.matchAll(pattern)].map((match) => ({
    name: match[1] ?? "",
    line: code.slice(0, match.index).split("\n").length,
  }));
}

export type Use = { readonly specifier: string; readonly name: string };

const LOADED = /(?:(\{[^{}]*\})\s*=\s*)?\(?await\s+import\("([^"]+)"\)(?:\)\.(\w+))?/g;

/** Names that a module takes from others, re-exports and members of a whole module included. */
export function usedNames(text: string): Use[] {
  const code = blank(text);
  const clause =
    /\b(?:import|export)\b(?:\s+type\b)?\s*(\{[^}]*\}|\*(?:\s*as\s+(\w+))?)\s*from\s*"([^"]+)"/g;
  const found: Use[] = [];
  for (const [whole, names = "", space, specifier = ""] of text.matchAll(clause)) {
    if (code[text.indexOf(whole)] === " ") continue; // in a comment
    if (names.startsWith("{")) {
      const listed = [...names.matchAll(/[{,]\s*(?:type\s+)?(\w+)/g)];
      found.push(...listed.map(([, name = ""]) => ({ specifier, name })));
    } else if (space === undefined) found.push({ specifier, name: "*" });
    else {
      const members = [...code.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g"))];
      found.push(...members.map(([, name = ""]) => ({ specifier, name })));
    }
  }
  // What `import()` gives is taken from it at once: `const { a } = await …` or `(await …).a`.
  for (const [, names = "", specifier = "", member = ""] of text.matchAll(LOADED)) {
    const listed = [...`${names},${member}`.matchAll(/\w+/g)];
    found.push(...listed.map(([name]) => ({ specifier, name })));
  }
  return found;
}
