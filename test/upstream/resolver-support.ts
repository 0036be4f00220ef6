/** What the tests of the resolver watch share. */
import { type AttachOptions, readAttachOptions } from "../../src/config/attach.ts";
import type { Logger } from "../../src/lib/log.ts";

export function attachOptions(
  dns: readonly string[] = [],
  search: readonly string[] = [],
): AttachOptions {
  const setting = (...values: readonly string[]) => ({ values, origin: "test" });
  const settings = new Map([["tap", setting("tap0")]]);
  if (dns.length > 0) settings.set("dns", setting(...dns));
  if (search.length > 0) settings.set("search", setting(...search));
  return readAttachOptions(settings, false);
}

/** A log that keeps its lines: level, message, resolvers. */
export function logTo(lines: string[]): Logger {
  const at =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push([level, message, ...Object.values(fields)].join(" "));
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
