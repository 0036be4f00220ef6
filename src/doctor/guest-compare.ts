/**
 * What a guest says of its network against what the program that serves it has seen: pure. Each
 * difference is a finding: what is so, why it matters, the one command that mends it.
 */
import type { Finding } from "./finding.ts";
import type { GuestReport } from "./guest-report.ts";

/** What the program knows. Addresses as text, empty where it serves none. */
export interface SeenGuest {
  readonly isUp: boolean;
  readonly hasGuest: boolean;
  readonly address: string;
  readonly gateway: string;
  readonly gatewayMac: string;
  readonly dns: string;
  readonly mtu: number;
  /** Frames that came from the guest, and that were made for it, since this engine began. */
  readonly received: number;
  readonly sent: number;
  /** Answers of the DHCP server. */
  readonly offers: number;
  readonly acknowledgments: number;
  /** Frames dropped, by reason of `slirp_drops_total`. */
  readonly drops: Readonly<Record<string, number>>;
}

type Found = Omit<Finding, "check">;
type Compare = (guest: GuestReport, seen: SeenGuest) => Found | undefined;

/** Frames that may be under way, or were counted before the other side counted. */
const FRAMES_SLACK = 64;
const OWN_RESOLVER = /^(?:127\.|::1$)/;
const CHECKSUMS = ["ip_checksum", "tcp_checksum", "udp_checksum", "icmp_checksum"];
const devOf = ({ dev = "IFACE" }: GuestReport): string => dev;
const ok = (what: string): Found => ({ severity: "ok", what });

const COMPARISONS: Readonly<Record<string, Compare>> = {
  network: (_guest, { isUp, hasGuest }) => {
    if (!isUp) {
      return {
        severity: "error",
        what: "the guest network does not answer",
        why: "no frame is carried",
        mend: "see why: slirp-binding log, or slirp-binding events",
      };
    }
    if (hasGuest) return ok("a guest is attached");
    return {
      severity: "error",
      what: "no guest is attached here",
      why: "the report is of a guest of another network, or its QEMU has left",
      mend: "virsh domiflist DOMAIN (or: slirp-binding instances, and --instance NAME)",
    };
  },
  lease: compareLease,
  gateway: (guest, { gateway }) => {
    if (gateway === "" || guest.gateway === gateway) return ok(`gateway: ${gateway}`);
    return {
      severity: "error",
      what: `the guest's default route leads to ${guest.gateway ?? "nowhere"}, not ${gateway}`,
      why: "nothing that leaves its subnet comes here",
      mend: `ip route replace default via ${gateway} dev ${devOf(guest)}`,
    };
  },
  neighbor: (guest, { gateway, gatewayMac }) => {
    if (gateway === "" || guest.gatewayMac === gatewayMac) return ok(`gateway is ${gatewayMac}`);
    if (guest.gatewayMac === undefined) {
      return {
        severity: "warning",
        what: "the guest does not know the gateway's MAC",
        why: "its ARP gets no answer, or it has not asked",
        mend: `ping -c 1 ${gateway}`,
      };
    }
    return {
      severity: "error",
      what: `the guest takes ${guest.gatewayMac} for the gateway, which is ${gatewayMac}`,
      why: "its frames go to somebody else; here they are dropped (not_for_us)",
      mend: `ip neigh flush dev ${devOf(guest)}`,
    };
  },
  mtu: (guest, { mtu, drops }) => {
    if (guest.mtu === undefined || guest.mtu <= mtu) return ok(`MTU: ${guest.mtu ?? "not told"}`);
    return {
      severity: "error",
      what: `the guest's MTU is ${guest.mtu}, this network's ${mtu}`,
      why: `its longer frames are dropped: ${drops["oversized"] ?? 0} so far`,
      mend: `ip link set ${devOf(guest)} mtu ${mtu}`,
    };
  },
  dns: ({ dns }, seen) => {
    if (seen.dns === "" || dns.includes(seen.dns)) return ok(`resolver: ${seen.dns}`);
    if (dns.some((address) => OWN_RESOLVER.test(address))) {
      return { severity: "note", what: "the guest asks a resolver of its own" };
    }
    return {
      severity: "warning",
      what: `the guest asks ${dns.join(", ") || "no resolver"}, not ${seen.dns}`,
      why: "the host's resolvers, and names that only they know, are reached by that address",
      mend: `echo nameserver ${seen.dns} >/etc/resolv.conf`,
    };
  },
  sent: (guest, { received }) => {
    if (guest.sent === undefined) return undefined;
    if (received + FRAMES_SLACK >= guest.sent) return ok(`${received} frames came from the guest`);
    const isNone = received === 0;
    return {
      severity: isNone ? "error" : "note",
      what: `the guest has sent ${guest.sent} frames, ${received} came here`,
      why: isNone
        ? "its card does not lead here"
        : "it counts since it started, this network since its engine did; else its link loses them",
      ...(isNone ? { mend: "virsh domiflist DOMAIN" } : {}),
    };
  },
  received: (guest, { sent }) => {
    if (guest.received === undefined) return undefined;
    if (guest.received + FRAMES_SLACK >= sent) return ok(`${sent} frames were made for the guest`);
    return {
      severity: "warning",
      what: `${sent} frames were made for the guest, it has got ${guest.received}`,
      why: "its card or its driver drops them",
      mend: `ip -s link show dev ${devOf(guest)}; ethtool -S ${devOf(guest)}`,
    };
  },
  checksums: (guest, { drops }) => {
    const wrong = CHECKSUMS.filter((reason) => (drops[reason] ?? 0) > 0);
    if (wrong.length === 0) return ok("checksums are right");
    return {
      severity: "error",
      what: `checksums of the guest are wrong: ${told(wrong, drops)}`,
      why: "its card was promised to fill them in, and nobody has; such packets are dropped",
      mend: `ethtool -K ${devOf(guest)} tx off`,
    };
  },
  source: (guest, { drops, address }) => {
    const wrong = ["ip_source", "source_mac"].filter((reason) => (drops[reason] ?? 0) > 0);
    if (wrong.length === 0) return ok("it sends from addresses of its network");
    return {
      severity: "warning",
      what: `the guest sends from addresses that are not its own: ${told(wrong, drops)}`,
      why: "a bridge, a container network or an old address in the guest; such packets are dropped",
      mend: `iptables -t nat -A POSTROUTING -o ${devOf(guest)} -j SNAT --to-source ${address}`,
    };
  },
};

/** In the order of the report. */
export function compareGuest(guest: GuestReport, seen: SeenGuest): Finding[] {
  return Object.entries(COMPARISONS).flatMap(([check, compare]) => {
    const found = compare(guest, seen);
    return found === undefined ? [] : [{ check, ...found }];
  });
}

function compareLease(guest: GuestReport, seen: SeenGuest): Found | undefined {
  const { address, offers, acknowledgments } = seen;
  if (address === "") return undefined;
  if (guest.address === address) return ok(`address: ${address}`);
  const dev = devOf(guest);
  if (guest.address !== undefined) {
    return {
      severity: "warning",
      what: `the guest has ${guest.address}, its lease is ${address}`,
      why: "published ports lead to the lease while its owner is known",
      mend: `ip addr replace ${address} dev ${dev} (or: dhclient ${dev})`,
    };
  }
  const given = `${acknowledgments} leases were given and ${offers} offered`;
  const hasAsked = offers + acknowledgments > 0;
  const why = hasAsked ? `${given}, so answers do not arrive in it` : "it has never asked by DHCP";
  return {
    severity: "error",
    what: "the guest has no IPv4 address",
    why,
    mend: `dhclient ${dev} (or: udhcpc -i ${dev})`,
  };
}

function told(reasons: readonly string[], drops: SeenGuest["drops"]): string {
  return reasons.map((reason) => `${reason} ${drops[reason]}`).join(", ");
}
