/**
 * What the hooks are told by their environment: variables that KubeVirt sets in a sidecar, and
 * `SLIRP_…` variables of the image's owner, read into one frozen, validated value.
 */
import { LIMITS } from "./config.ts";
import { integerBetween, invalid, oneOf, readOne, type Setting } from "./settings.ts";
import { parseSubnet, SUBNET_DEFAULT } from "./subnet.ts";

/** How QEMU and the data plane are joined; see `Attachment` in `src/hooks/domain/plan.ts`. */
export const LINK_KINDS = Object.freeze(["client", "stream", "vhost-user", "user"] as const);
export type LinkKind = (typeof LINK_KINDS)[number];
/** `auto` leaves the choice to the program. */
export const LINK_CHOICES = Object.freeze(["auto", ...LINK_KINDS] as const);
export type LinkChoice = (typeof LINK_CHOICES)[number];

export interface HookSettings {
  /** Name the binding is registered under in the KubeVirt CR. */
  readonly bindingName: string;
  /** Name of this sidecar's container; undefined before KubeVirt 1.6. */
  readonly containerName: string | undefined;
  readonly link: LinkChoice;
  /** VMs may choose link and MTU by annotation. */
  readonly allowsAnnotations: boolean;
  /** Loopback TCP port of the interface with index 0; the others follow it. */
  readonly loopbackPort: number;
  /** Guest network of a VM that names none, as text. */
  readonly cidr: string;
  /** Octets of an IP packet; undefined = as the network card's model allows. */
  readonly mtu: number | undefined;
}

/** The plugin's historical name. */
const BINDING_NAME_DEFAULT = "slirp";

/**
 * Below every range that is taken in a pod as a rule: ephemeral ports (32768–60999), libvirt's
 * migration (49152), Envoy (15000–15090), Linkerd (4140–4191).
 */
const LOOPBACK_PORT_DEFAULT = 28500;
const LOOPBACK_PORT_MIN = 1024;
/** Leaves room for 256 interfaces above it. */
const LOOPBACK_PORT_MAX = 65279;

const CONTAINER_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const BINDING_NAME = /^[\w.-]{1,253}$/;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the environment. Throws `ConfigError`. */
export function readHookSettings(env: Environment): HookSettings {
  const settings = new Map<string, Setting>();
  for (const name of NAMES) {
    const text = env[name];
    if (text !== undefined && text !== "") settings.set(name, { values: [text], origin: name });
  }
  const matching = (name: string, pattern: RegExp): string | undefined => {
    const text = settings.get(name)?.values[0];
    if (text === undefined || pattern.test(text)) return text;
    throw invalid(name, text, "wanted a name of Kubernetes");
  };
  return Object.freeze({
    bindingName: matching("NETWORK_BINDING_PLUGIN_NAME", BINDING_NAME) ?? BINDING_NAME_DEFAULT,
    containerName: matching("CONTAINER_NAME", CONTAINER_NAME),
    link: readOne(settings, "SLIRP_LINK", "auto" as const, oneOf(LINK_CHOICES)),
    allowsAnnotations: readSwitch(settings, "SLIRP_ALLOW_ANNOTATIONS", true),
    loopbackPort: readOne(
      settings,
      "SLIRP_LOOPBACK_PORT",
      LOOPBACK_PORT_DEFAULT,
      integerBetween(LOOPBACK_PORT_MIN, LOOPBACK_PORT_MAX),
    ),
    cidr: readOne(settings, "SLIRP_CIDR", SUBNET_DEFAULT, parseCidr),
    mtu: readOne(settings, "SLIRP_MTU", undefined, integerBetween(...LIMITS.mtu)),
  });
}

/**
 * Whether frames are carried by another container of the pod, as the owner of a hook script says
 * that runs beside one (`SLIRP_EXTERNAL_DATA_PLANE`). Throws `ConfigError`.
 */
export function readExternalDataPlane(env: Environment): boolean {
  const name = "SLIRP_EXTERNAL_DATA_PLANE";
  const text = env[name];
  return text === undefined || text === "" ? false : parseSwitch(name, text);
}

const NAMES = [
  "NETWORK_BINDING_PLUGIN_NAME",
  "CONTAINER_NAME",
  "SLIRP_LINK",
  "SLIRP_ALLOW_ANNOTATIONS",
  "SLIRP_LOOPBACK_PORT",
  "SLIRP_CIDR",
  "SLIRP_MTU",
] as const;

function parseCidr(text: string): string {
  parseSubnet(text);
  return text;
}

function readSwitch(
  settings: Map<string, Setting>,
  name: (typeof NAMES)[number],
  fallback: boolean,
): boolean {
  const text = settings.get(name)?.values[0];
  return text === undefined ? fallback : parseSwitch(name, text);
}

function parseSwitch(name: string, text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw invalid(name, text, 'wanted "1" or "0"');
}
