/**
 * Reads the JUnit files of the three test runners into counts.
 *
 * They differ: Deno reports a `describe` as a case of its own beside its cases, Bun leaves the
 * cases of a skipped `describe` out, and a file that breaks while it loads yields no report at all.
 */

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text) {
  return text.replaceAll(/&(?:#(\d+)|(\w+));/g, (all, code, name) =>
    code ? String.fromCodePoint(Number(code)) : (ENTITIES[name] ?? all),
  );
}

/** Every `<testcase>` as `{ name, state, message }`, state passed, failed or skipped. */
function parseCases(xml) {
  const cases = [];
  for (const match of xml.matchAll(
    /<testcase\b((?:"[^"]*"|[^">])*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const [, attributes = "", body = ""] = match;
    const name = unescapeXml(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    const skipped = /<skipped\b(?:[^>]*\bmessage="([^"]*)")?/.exec(body);
    const failed = /<(failure|error)\b/.test(body);
    const state = failed ? "failed" : skipped ? "skipped" : "passed";
    cases.push({ name, state, message: unescapeXml(skipped?.[1] ?? "") });
  }
  return cases;
}

/** Deno's entries for suites: their cases follow with the suite's name in front. */
function dropSuites(cases) {
  return cases.filter(({ name, state }) => {
    const inside = cases.filter((each) => each.name.startsWith(`${name} > `));
    if (inside.length === 0) return true;
    return state === "failed" && inside.every((each) => each.state !== "failed");
  });
}

/**
 * Counts of one run of one test file.
 *
 * A runner that failed without naming a failed case counts as one failure, and a file in which
 * nothing ran counts as one skip: neither may look like success.
 */
export function summarize(xml, exitCode) {
  const cases = dropSuites(parseCases(xml));
  const count = (state) => cases.filter((each) => each.state === state).length;
  const result = { passed: count("passed"), failed: count("failed"), skipped: [] };
  for (const { name, state, message } of cases) {
    if (state === "skipped") result.skipped.push({ name, message });
  }
  if (exitCode !== 0 && result.failed === 0) result.failed = 1;
  if (exitCode === 0 && cases.length === 0) {
    result.skipped.push({ name: "the whole file", message: "no test ran" });
  }
  return result;
}
