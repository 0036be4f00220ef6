/** Where a running program is asked and steered: `--admin`. */
import { parseUnixEndpoint, type UnixEndpoint } from "./endpoint.ts";
import { ConfigError } from "./errors.ts";
import { RUN } from "./headings.ts";
import { type Values, value } from "./option.ts";

export type AdminPlace = UnixEndpoint | "off";

const OFF = "off";

function adminOption(place: string) {
  return {
    /** Undefined = the usual place. */
    admin: value({
      name: "admin",
      argument: "unix:PATH|off",
      description: `socket for the commands flows, stats, publish and the like (default: ${place})`,
      heading: RUN,
      parse: parseAdminPlace,
    }),
  };
}

export const ADMIN_OPTIONS = adminOption("one in the runtime folder");

/** Of `serve`, where `kubectl exec` finds it. */
export const SERVE_ADMIN_OPTIONS = adminOption("userdata/ of the hooks folder");

export type AdminOptions = Values<typeof ADMIN_OPTIONS>;

/** Reads `unix:PATH`, a path or `off`. Throws `ConfigError`. */
function parseAdminPlace(text: string): AdminPlace {
  if (text === OFF) return OFF;
  const endpoint = parseUnixEndpoint(text);
  if (endpoint.path.startsWith("@")) {
    throw new ConfigError("wanted the path of a file: others could connect to a name without one");
  }
  return endpoint;
}
