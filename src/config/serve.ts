/**
 * What `serve` was asked to do: environment and arguments read into one frozen, validated value.
 * Whoever holds a `ServeOptions` need not check anything in it again.
 */
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../lib/log.ts";
import {
  type CaptureOptions,
  DEFAULTS,
  FD_MAX,
  LIMITS,
  parsePath,
  readCapture,
  readResolvers,
  readRoom,
} from "./config.ts";
import { type HookSettings, LINK_CHOICES, readHookSettings } from "./hook-settings.ts";
import { type HostSide, readHostSide, SERVE_HOST_SIDE } from "./host-side.ts";
import { KUBEVIRT_QEMU_UID, readPeerUids } from "./peers.ts";
import { type RightsOptions, readRights } from "./rights.ts";
import { integerBetween, oneOf, readOne, type Settings } from "./settings.ts";
import { parseSubnet } from "./subnet.ts";

/** Options of `serve`, frozen. */
export interface ServeOptions extends CaptureOptions, HostSide, RightsOptions {
  /** Of each interface: flows at once and MiB of payload; undefined = what there is room for. */
  readonly flowsMax: number | undefined;
  readonly bufferMib: number | undefined;
  /** Silence after which both ends of a TCP connection are asked, seconds. */
  readonly tcpIdleSeconds: number;
  readonly hooks: HookSettings;
  /** Folder of the hook socket; undefined = where KubeVirt mounts it. */
  readonly hooksDir: string | undefined;
  /** Folder of the socket of a Plugin resource; undefined = the usual one, if it is there. */
  readonly pluginDir: string | undefined;
  /** Seconds that guests still attached are served after SIGTERM. */
  readonly graceSeconds: number;
  /** Seconds without hook call and guest after which it ends; 0 = never. */
  readonly abandonSeconds: number;
  /** File the frames of the first interface are written to; others' names end with their index. */
  readonly pcap: string | undefined;
  /** Files that all inputs of the engines are recorded in; names end with the interface's. */
  readonly record: string | undefined;
  /** Resolvers in place of those of the pod's resolv.conf; empty = use that. */
  readonly dns: readonly string[];
  /** Port the resolvers take queries at. */
  readonly dnsPort: number;
  /** Users that may be at the other end of a link, besides the program's own; at most 16. */
  readonly peerUids: readonly number[];
  /** File descriptor that gets one byte when the sockets are there. */
  readonly readyFd: number | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where KubeVirt mounts the folder of the hook sockets. */
export const HOOKS_DIR_DEFAULT = "/var/run/kubevirt-hooks";
/**
 * Where virt-launcher looks for the sockets of plugins, in a folder for each. The author of a
 * Plugin mounts that folder alone (`subPath`), in this place if nothing else is said.
 */
export const PLUGIN_DIR_DEFAULT = "/var/run/kubevirt-plugin";

/**
 * As long as a guest may take to power off when nobody says otherwise; Kubernetes ends it all
 * earlier if the pod's own grace time is over.
 */
export const GRACE_SECONDS_DEFAULT = 3600;
export const GRACE_SECONDS_LIMITS: readonly [number, number] = [0, 86400];

/** Longer than a launcher that is there lets pass between a call and its QEMU. */
export const ABANDON_SECONDS_DEFAULT = 300;
export const ABANDON_SECONDS_LIMITS: readonly [number, number] = [0, 86400];

/** Reads the settings of `serve`, and what KubeVirt says in `env`. Throws `ConfigError`. */
export function readServeOptions(
  settings: Settings,
  env: Environment,
  isTerminal: boolean,
): ServeOptions {
  // Arguments win over their variables, and a wrong one is blamed itself: so they are read first.
  const mtu = readOne(settings, "mtu", undefined, integerBetween(...LIMITS.mtu));
  const asked = {
    SLIRP_LINK: readOne(settings, "link", env["SLIRP_LINK"], oneOf(LINK_CHOICES)),
    SLIRP_CIDR: readOne(settings, "cidr", env["SLIRP_CIDR"], parseCidr),
    SLIRP_MTU: mtu === undefined ? env["SLIRP_MTU"] : String(mtu),
  };
  const grace = integerBetween(...GRACE_SECONDS_LIMITS);
  const abandon = integerBetween(...ABANDON_SECONDS_LIMITS);
  return Object.freeze({
    hooks: readHookSettings({ ...env, ...asked }),
    hooksDir: readOne(settings, "hooks-dir", undefined, parsePath),
    pluginDir: readOne(settings, "plugin-dir", undefined, parsePath),
    graceSeconds: readOne(settings, "grace", GRACE_SECONDS_DEFAULT, grace),
    abandonSeconds: readOne(settings, "abandon", ABANDON_SECONDS_DEFAULT, abandon),
    ...readCapture(settings),
    ...readResolvers(settings),
    ...readRoom(settings),
    peerUids: readPeerUids(settings, [KUBEVIRT_QEMU_UID]),
    ...readHostSide(settings, SERVE_HOST_SIDE),
    ...readRights(settings),
    readyFd: readOne(settings, "ready-fd", undefined, integerBetween(0, FD_MAX)),
    logLevel: readOne(settings, "log-level", DEFAULTS.logLevel, oneOf(LOG_LEVELS)),
    logFormat: readOne(settings, "log-format", isTerminal ? "pretty" : "json", oneOf(LOG_FORMATS)),
  });
}

function parseCidr(text: string): string {
  parseSubnet(text);
  return text;
}
