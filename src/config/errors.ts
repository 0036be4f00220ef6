/**
 * The one kind of failure that configuration has: a value somebody gave is not usable. The message
 * is a complete line for the person who gave it (what was being done, the value in quotes, what is
 * wanted instead); `main` prints it and exits with status 2.
 */
import { escapeControls } from "../lib/controls.ts";

/** A configuration value cannot be used. The message is one line without a trailing period. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

/** Quotes a value for a message; control characters come out escaped, so a line stays one line. */
export function quote(value: string): string {
  return escapeControls(JSON.stringify(value));
}
