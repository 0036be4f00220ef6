/**
 * What the hooks are told: options of `serve`, variables of the image's owner, and those that
 * KubeVirt sets in a sidecar, read into one frozen, validated value.
 */
import { ConfigError } from "./errors.ts";
import { NETWORK } from "./headings.ts";
import { MTU_BOUNDS } from "./network.ts";
import {
  type Bounds,
  choice,
  type Environment,
  integer,
  parseSwitch,
  readGroup,
  readVariables,
  rowsOf,
  type Values,
  value,
  variableOnly,
} from "./option.ts";
import { integerBetween } from "./settings.ts";
import { parseSubnet, SUBNET_DEFAULT } from "./subnet.ts";

/** How QEMU and the data plane are joined; see `Attachment` in `src/hooks/domain/plan.ts`. */
const LINK_KINDS = Object.freeze(["client", "stream", "vhost-user", "user"] as const);
export type LinkKind = (typeof LINK_KINDS)[number];
/** `auto` leaves the choice to the program. */
export const LINK_CHOICES = Object.freeze(["auto", ...LINK_KINDS] as const);
export type LinkChoice = (typeof LINK_CHOICES)[number];

/** The plugin's historical name. */
const BINDING_NAME_DEFAULT = "slirp";

/**
 * Below every range that is taken in a pod as a rule: ephemeral ports (32768–60999), libvirt's
 * migration (49152), Envoy (15000–15090), Linkerd (4140–4191).
 */
const LOOPBACK_PORT_DEFAULT = 28500;
/** Leaves room for 256 interfaces above it. */
const LOOPBACK_PORT_BOUNDS: Bounds = [1024, 65279];

const CONTAINER_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const BINDING_NAME = /^[\w.-]{1,253}$/;

/** Arguments of `serve` that the plans of the hooks follow. */
export const PLAN_OPTIONS = {
  link: choice<LinkChoice, LinkChoice>({
    name: "link",
    choices: LINK_CHOICES,
    description: "how QEMU and the data plane are joined (default {default})",
    heading: NETWORK,
    fallback: "auto",
  }),
  /** Guest network of a VM that names none, as text. */
  cidr: value({
    name: "cidr",
    argument: "A.B.C.D/N",
    description: "network of a guest whose VM names none (default {default})",
    heading: NETWORK,
    parse: parseCidr,
    fallback: SUBNET_DEFAULT,
  }),
  /** Octets of an IP packet; undefined = as the network card's model allows. */
  mtu: integer({
    name: "mtu",
    argument: "N",
    description: "octets of an IP packet, {bounds} (default: as the network card allows)",
    heading: NETWORK,
    bounds: MTU_BOUNDS,
  }),
};

/** What has variables alone. */
export const HOOK_VARIABLES = {
  /** Name the binding is registered under in the KubeVirt CR. */
  bindingName: variableOnly(
    "NETWORK_BINDING_PLUGIN_NAME",
    nameOf(BINDING_NAME),
    BINDING_NAME_DEFAULT,
  ),
  /** Name of this sidecar's container; undefined before KubeVirt 1.6. */
  containerName: variableOnly("CONTAINER_NAME", nameOf(CONTAINER_NAME)),
  /** VMs may choose link and MTU by annotation. */
  allowsAnnotations: variableOnly("SLIRP_ALLOW_ANNOTATIONS", parseSwitch, true),
  /** Loopback TCP port of the interface with index 0; the others follow it. */
  loopbackPort: variableOnly(
    "SLIRP_LOOPBACK_PORT",
    integerBetween(...LOOPBACK_PORT_BOUNDS),
    LOOPBACK_PORT_DEFAULT,
  ),
};

const EXTERNAL_DATA_PLANE = {
  hasDataPlane: variableOnly("SLIRP_EXTERNAL_DATA_PLANE", parseSwitch, false),
};

export const HOOK_OPTIONS = { ...PLAN_OPTIONS, ...HOOK_VARIABLES };

export type HookSettings = Values<typeof HOOK_OPTIONS>;

/** Reads them for a hook that is run as a program: it has variables alone. Throws `ConfigError`. */
export function readHookSettings(env: Environment): HookSettings {
  return Object.freeze(readGroup(HOOK_OPTIONS, readVariables(rowsOf(HOOK_OPTIONS), env)));
}

/**
 * Whether frames are carried by another container of the pod, as the owner of a hook script says
 * that runs beside one (`SLIRP_EXTERNAL_DATA_PLANE`). Throws `ConfigError`.
 */
export function readExternalDataPlane(env: Environment): boolean {
  const settings = readVariables(rowsOf(EXTERNAL_DATA_PLANE), env);
  return readGroup(EXTERNAL_DATA_PLANE, settings).hasDataPlane;
}

function parseCidr(text: string): string {
  parseSubnet(text);
  return text;
}

function nameOf(pattern: RegExp): (text: string) => string {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new ConfigError("wanted a name of Kubernetes");
  };
}
