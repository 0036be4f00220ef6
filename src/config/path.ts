/** Paths of files and folders, as options give them. */
import { ConfigError } from "./errors.ts";

/** A path that the kernel can be given. Throws `ConfigError`. */
export function parsePath(text: string): string {
  if (text === "" || text.includes("\0")) throw new ConfigError("wanted a path");
  return text;
}
