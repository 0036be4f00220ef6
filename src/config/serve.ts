/**
 * What `serve` was asked to do: environment and arguments read into one frozen, validated value.
 * Whoever holds a `ServeOptions` need not check anything in it again.
 */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { type AdminOptions, SERVE_ADMIN_OPTIONS } from "./admin.ts";
import { type CaptureOptions, SERVE_CAPTURE_OPTIONS } from "./capture.ts";
import { CHECK_OPTIONS, type CheckOptions } from "./checks.ts";
import { HOOK_OPTIONS, HOOK_VARIABLES, type HookSettings, PLAN_OPTIONS } from "./hook-settings.ts";
import { type HostSide, hostSideOptions, readHostSide, SERVE_HOST_SIDE } from "./host-side.ts";
import { ROOM_OPTIONS } from "./limit-options.ts";
import { LOG_OPTIONS, type LogOptions, readLogOptions } from "./log-options.ts";
import { METRICS_OPTIONS, type MetricsOptions } from "./metrics.ts";
import { RESOLVER_OPTIONS, type ResolverOptions } from "./names.ts";
import { integer, readGroup, rowsOf, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { SERVE_PEERS } from "./peers.ts";
import { RIGHTS_OPTIONS, type RightsOptions } from "./rights.ts";
import type { Settings } from "./settings.ts";
import { READY_OPTIONS } from "./supervision.ts";

const HOOKS = "Hook sockets:";

/** Where KubeVirt mounts the folder of the hook sockets. */
export const HOOKS_DIR_DEFAULT = "/var/run/kubevirt-hooks";
/**
 * Where virt-launcher looks for the sockets of plugins, in a folder for each. The author of a
 * Plugin mounts that folder alone (`subPath`), in this place if nothing else is said.
 */
export const PLUGIN_DIR_DEFAULT = "/var/run/kubevirt-plugin";

const LIFE_OPTIONS = {
  /** Folder of the hook socket; undefined = where KubeVirt mounts it. */
  hooksDir: value({
    name: "hooks-dir",
    argument: "DIR",
    description:
      "folder that virt-launcher watches for hook sockets " +
      `(default ${HOOKS_DIR_DEFAULT} if it exists)`,
    heading: HOOKS,
    parse: parsePath,
  }),
  /** Folder of the socket of a Plugin resource; undefined = the usual one, if it is there. */
  pluginDir: value({
    name: "plugin-dir",
    argument: "DIR",
    description:
      "folder for slirp.sock, the socket of a Plugin resource " +
      `(default ${PLUGIN_DIR_DEFAULT} if it exists)`,
    heading: HOOKS,
    parse: parsePath,
  }),
  /**
   * Seconds that guests still attached are served after SIGTERM: as long as a guest may take to
   * power off when nobody says otherwise; Kubernetes ends it all earlier if the pod's own grace
   * time is over.
   */
  graceSeconds: integer({
    name: "grace",
    argument: "SECONDS",
    description:
      "time that guests still attached are served after SIGTERM, {bounds} (default {default})",
    heading: HOOKS,
    bounds: [0, 86400],
    fallback: 3600,
  }),
  /**
   * Seconds without hook call and guest after which it ends, longer than a launcher that is there
   * lets pass between a call and its QEMU; 0 = never.
   */
  abandonSeconds: integer({
    name: "abandon",
    argument: "SECONDS",
    description:
      "time without hook call and guest after which it ends by itself, 0 for never, {bounds} " +
      "(default {default})",
    heading: HOOKS,
    bounds: [0, 86400],
    fallback: 300,
  }),
};

/** Options of `serve`, frozen. Those of a guest network hold for each interface. */
export interface ServeOptions
  extends Values<typeof LIFE_OPTIONS>,
    MetricsOptions,
    AdminOptions,
    CheckOptions {
  readonly hooks: HookSettings;
  readonly resolvers: ResolverOptions;
  readonly hostSide: HostSide;
  readonly limits: Values<typeof ROOM_OPTIONS>;
  readonly capture: CaptureOptions;
  readonly rights: RightsOptions;
  readonly log: LogOptions;
  /** Users that may be at the other end of a link, besides the program's own; at most 16. */
  readonly peerUids: readonly number[];
  /** File descriptor that gets one byte when the sockets are there. */
  readonly readyFd: number | undefined;
}

/** The pod's, where other containers may have their services. */
const HOST_SIDE_OPTIONS = hostSideOptions(SERVE_HOST_SIDE);

/** All its options, in the order of the help, and what only the environment says. */
export const SERVE_ROWS = rowsOf(
  LIFE_OPTIONS,
  PLAN_OPTIONS,
  SERVE_PEERS,
  RESOLVER_OPTIONS,
  HOST_SIDE_OPTIONS,
  ROOM_OPTIONS,
  READY_OPTIONS,
  RIGHTS_OPTIONS,
  SERVE_CAPTURE_OPTIONS,
  METRICS_OPTIONS,
  CHECK_OPTIONS,
  SERVE_ADMIN_OPTIONS,
  LOG_OPTIONS,
  HOOK_VARIABLES,
);

/** Reads the settings of `serve`. Throws `ConfigError`. */
export function readServeOptions(settings: Settings, isTerminal: boolean): ServeOptions {
  return deepFreeze({
    hooks: readGroup(HOOK_OPTIONS, settings),
    ...readGroup(
      {
        ...LIFE_OPTIONS,
        ...SERVE_PEERS,
        ...READY_OPTIONS,
        ...METRICS_OPTIONS,
        ...CHECK_OPTIONS,
        ...SERVE_ADMIN_OPTIONS,
      },
      settings,
    ),
    resolvers: readGroup(RESOLVER_OPTIONS, settings),
    hostSide: readHostSide(settings, HOST_SIDE_OPTIONS),
    limits: readGroup(ROOM_OPTIONS, settings),
    capture: readGroup(SERVE_CAPTURE_OPTIONS, settings),
    rights: readGroup(RIGHTS_OPTIONS, settings),
    log: readLogOptions(settings, isTerminal),
  });
}
