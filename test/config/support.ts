/** What tests of options share. */
import type { Setting } from "../../src/config/settings.ts";

/** Settings as given by arguments: texts by option name. */
export function settingsOf(
  given: Readonly<Record<string, string | readonly string[]>>,
): Map<string, Setting> {
  const entries = Object.entries(given).map(([name, value]): [string, Setting] => [
    name,
    { values: typeof value === "string" ? [value] : value, origin: `--${name}` },
  ]);
  return new Map(entries);
}
