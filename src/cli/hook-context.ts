/**
 * What the pod tells about itself, gathered for the plans of the hooks: its resolv.conf and the
 * IPv4 networks of its interfaces. Read anew for every call, as a pod may get interfaces late.
 */
import { readFileSync } from "node:fs";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import type { HookSettings } from "../config/hook-settings.ts";
import { RESOLV_CONF_PATH } from "../config/resolv.ts";
import type { DataPlane } from "../hooks/data-plane.ts";
import type { PlanContext } from "../hooks/domain/plan.ts";
import { type Ipv4Network, isIpv4, parseIpv4, prefixMask } from "../lib/addr.ts";

const LINK_LOCAL = /^fe[89ab]/i;

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** @param dataPlane whoever carries the frames */
export function readPlanContext(
  settings: HookSettings,
  { autoLink, memoryLimit }: Pick<DataPlane, "autoLink" | "memoryLimit">,
): PlanContext {
  return Object.freeze({
    settings,
    resolvConf: readText(RESOLV_CONF_PATH),
    podNetworks: podNetworksOf(networkInterfaces()),
    autoLink,
    memoryLimit,
  });
}

/** IPv4 networks of all interfaces but loopback, host bits cleared. */
export function podNetworksOf(interfaces: Interfaces): readonly Ipv4Network[] {
  return Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ family, internal, cidr }) => family === "IPv4" && !internal && cidr !== null)
    .flatMap(({ cidr }) => {
      const [address = "", length = ""] = (cidr ?? "").split("/");
      const prefixLength = Number(length);
      if (!isIpv4(address) || !(prefixLength >= 1 && prefixLength <= 32)) return [];
      return [{ address: (parseIpv4(address) & prefixMask(prefixLength)) >>> 0, prefixLength }];
    });
}

/** Versions of IP that there are. */
export interface IpVersions {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** The versions of IP the pod itself has; a pod with neither counts as one of IPv4. */
export function podVersionsOf(interfaces: Interfaces): IpVersions {
  const outer = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ internal }) => !internal);
  const ipv6 = outer.some(({ family, address }) => family === "IPv6" && !LINK_LOCAL.test(address));
  const ipv4 = outer.some(({ family }) => family === "IPv4");
  return { ipv4: ipv4 || !ipv6, ipv6 };
}

/** A pod without the file gets the defaults of an empty one. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
