/** What `doctor` was asked to look at, read into one frozen value. */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { isIpv6, readIpv4 } from "./address.ts";
import { ConfigError } from "./errors.ts";
import { publishedSockets } from "./forward.ts";
import { ROOM_OPTIONS } from "./limit-options.ts";
import { FLOWS_MAX_DEFAULT } from "./limits.ts";
import { NETWORK_OPTIONS, type NetworkOptions, readNetwork } from "./network.ts";
import { flag, list, readGroup, rowsOf, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { parsePublish } from "./publish-rule.ts";
import { HOOKS_DIR_DEFAULT } from "./serve.ts";
import type { Settings } from "./settings.ts";
import { NETWORK_OPTION, readTarget, TARGET_OPTIONS, type Target } from "./target.ts";

const LOOK = "What is looked at:";
const OUTPUT = "Output:";

const DOCTOR_OPTIONS = {
  flowsMax: ROOM_OPTIONS.flowsMax,
  publish: list({
    name: "publish",
    argument: "RULE",
    description: "ports that are to be published, as attach takes them; may be repeated",
    heading: LOOK,
    parse: parsePublish,
  }),
  /** In place of those of resolv.conf. */
  dns: list({
    name: "dns",
    argument: "ADDRESS",
    description: "resolver that is to be used, in place of those of resolv.conf; may be repeated",
    heading: LOOK,
    parse: parseResolver,
  }),
  hooksDir: value({
    name: "hooks-dir",
    argument: "DIR",
    description: "folder of hook sockets (default {default})",
    heading: LOOK,
    parse: parsePath,
    fallback: HOOKS_DIR_DEFAULT,
  }),
  json: flag({ name: "json", description: "one JSON object in a line", heading: OUTPUT }),
  /** "-" = standard input. */
  guestReport: value({
    name: "guest-report",
    argument: "FILE",
    description:
      "compare what that script has said (- for standard input) with what a running program has " +
      "seen of the guest",
    heading: OUTPUT,
    parse: parsePath,
  }),
  inGuest: flag({
    name: "in-guest",
    description: "print a script that looks from inside a Linux guest",
    heading: OUTPUT,
  }),
};

/** Of `--guest-report`; the folder of hook sockets is looked at in any case. */
const ASKED_OPTIONS = {
  instance: TARGET_OPTIONS.instance,
  admin: TARGET_OPTIONS.admin,
  interface: NETWORK_OPTION.network,
};

export const DOCTOR_ROWS = rowsOf(DOCTOR_OPTIONS, ASKED_OPTIONS, NETWORK_OPTIONS);

/** A guest's report is compared with what its program has seen. */
export interface GuestReportQuestion {
  readonly about: "guest-report";
  readonly target: Target;
  /** Its path, or "-". */
  readonly file: string;
  /** Name of the network's interface; empty = the only one. */
  readonly network: string;
  readonly json: boolean;
}

export interface DoctorOptions extends Values<typeof DOCTOR_OPTIONS> {
  readonly flowsMax: number;
  /** Sockets that published ports need, and the lowest of these ports. */
  readonly publishedSockets: number;
  readonly lowestPort: number | undefined;
  /** What a guest is given, for its script. */
  readonly network: NetworkOptions;
}

/** What a running program is to be asked; undefined = none is. Throws `ConfigError`. */
export function readGuestReport(settings: Settings): GuestReportQuestion | undefined {
  const { guestReport: file, json } = readGroup(DOCTOR_OPTIONS, settings);
  if (file === undefined) return undefined;
  const { interface: network } = readGroup(ASKED_OPTIONS, settings);
  return deepFreeze({ about: "guest-report", target: readTarget(settings), file, network, json });
}

/** Reads the settings of `doctor`. Throws `ConfigError`. */
export function readDoctorOptions(settings: Settings): DoctorOptions {
  const { flowsMax = FLOWS_MAX_DEFAULT, ...rest } = readGroup(DOCTOR_OPTIONS, settings);
  const network = readNetwork(settings);
  const versions = network.ipv4 && network.subnet6 !== undefined ? 2 : 1;
  const ports = rest.publish.map(({ hostPort }) => hostPort);
  return deepFreeze({
    ...rest,
    flowsMax,
    publishedSockets: publishedSockets(rest.publish, versions),
    lowestPort: ports.length === 0 ? undefined : Math.min(...ports),
    network,
  });
}

function parseResolver(text: string): string {
  if (readIpv4(text) === undefined && !isIpv6(text)) throw new ConfigError("wanted an IP address");
  return text;
}
